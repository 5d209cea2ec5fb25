"""The HTTP server's parent process: workers that are replaced without a request that fails.

As it comes, granian gives every worker a listening socket of its own (SO_REUSEPORT); when one is replaced, connections that
the kernel or the TLS handshake had already given to it break. Here all workers accept from one socket, and a worker is
replaced in this order: the new one starts and says so; the old one stops accepting, and answers what it has taken with
`Connection: close`; only then is it told to end. What is left is what HTTP/1.1 leaves to every client: an idle connection
may be closed at the moment somebody writes to it.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from granian._granian import ListenerSpec
from granian.constants import SSLProtocols
from granian.server.mp import MPServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# A new worker loads the bundle; one that takes longer hangs.
_LONGEST_START_S = 30.0
# TLS handshake and first byte of a request on a connection that was just accepted.
_GRACE_S = 2.0
_AGAIN_S = 3.0
_MOST_WORDS = 4
_MOST_STARTS = 3
_ENDS = frozenset({signal.SIGTERM, signal.SIGINT})
# From "started" to "accepts".
_SETTLE_S = 0.2


class Server(MPServer):
    """granian with one listening socket and workers that finish what they took."""

    def __init__(self, *, address: str, port: int, before: Server | None = None, **options: Any) -> None:
        """`options` are granian's own. `before`: a server that gave up, whose socket this one goes on with."""
        # Workers inherit the socket; from Python 3.14 on another method would be the default.
        multiprocessing.set_start_method("fork", force=True)
        super().__init__("governance", address=address, port=port, **options)
        self._up = _Bell()
        self._before = before

    def take_certificate(self, certificate: Path, key: Path) -> None:
        """Replace the workers by ones that serve this pair; returns before that is done."""
        self.build_ssl_context(certificate, key, None, SSLProtocols.tls13, None, [], client_verify=False)
        self.reload_signal = True
        self.main_loop_interrupt.set()

    @property
    def listening(self) -> tuple[Any, int, socket.socket | None]:
        """The shared socket: as granian holds it, its descriptor, and as Python's."""
        return self._shd, self._sfd, self._sso

    def was_told_to_stop(self) -> bool:
        """Whether a signal asked for the end; anything else that ends it is a fault."""
        return self.interrupt_signal

    def serve(self, *_: object, **__: object) -> None:
        """Serve until a signal comes."""
        super().serve(target_loader=self._load, wrap_loader=False)

    def _load(self) -> Any:
        """In the new worker: the application, which says when it has started."""
        # What was forked still has the parent's handlers: an end that comes before the loop's own would be lost on them.
        for number in _ENDS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        # Here the socket is the listener's alone: it closes it when it ends.
        if self._sso is not None:
            self._sso.detach()
        from governance.entrypoints.http.app import Application

        return Application(on_start=self._up.ring, stop_accepting=lambda: stop_accepting(self._sfd))

    def _init_shared_socket(self) -> None:
        self._ssp = None
        if self._before is not None:
            self._shd, self._sfd, self._sso = self._before.listening
            self._before = None
            return
        self._shd: Any = ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._sfd: Any = self._shd.get_fd()
        self._sso = socket.socket(fileno=self._sfd)

    def _drop_shared_socket(self) -> None:
        """Kept where another server follows: whoever connects in the meantime waits for its workers, and is not refused."""
        if self.was_told_to_stop() and self._sso is not None:
            self._sso.close()
            self._sso = None

    def _respawn_workers(
        self, workers: list[int], spawn_target: Callable[..., None], target_loader: Any, delay: float = 0
    ) -> None:
        """Replace workers, one after the other; `delay` is for those that still live."""
        for number in workers:
            self.respawned_wrks[number] = time.monotonic()
            old: Any = self.wrks.pop(number)
            self.wrks.insert(number, self._started(number, spawn_target, target_loader))
            if delay and old.is_alive() and not self.was_told_to_stop():
                time.sleep(_SETTLE_S)
                old.interrupt_by_parent = True
                os.kill(old.inner.pid, signal.SIGUSR1)
                time.sleep(_GRACE_S)
            _end([old])
        self._metrics.incr_spawn(len(workers))

    def _started(self, number: int, spawn_target: Callable[..., None], target_loader: Any) -> Any:
        """A worker that serves, or that has died of something; one that does neither is killed, and another started."""
        for _ in range(_MOST_STARTS):
            self._up.hush()
            worker = self._begun(number, spawn_target, target_loader)
            deadline = time.monotonic() + _LONGEST_START_S
            while time.monotonic() < deadline and worker.is_alive() and not self.was_told_to_stop():
                if self._up.rang(_SETTLE_S):
                    return worker
            if not worker.is_alive() or self.was_told_to_stop():
                return worker
            worker.kill()
        return worker

    def _begun(self, number: int, spawn_target: Callable[..., None], target_loader: Any) -> Any:
        """A worker that was just forked. It hears no signal before it can tell what one means.

        The parent's handler takes a lock that another thread may have held at the fork: in the worker it would wait for good.
        """
        worker: Any = self._spawn_worker(idx=number, target=spawn_target, callback_loader=target_loader)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        return worker

    def _spawn_workers(self, spawn_target: Callable[..., None], target_loader: Any) -> None:
        self.wrks += [self._begun(number, spawn_target, target_loader) for number in range(self.workers)]
        self._metrics.incr_spawn(self.workers)

    def _stop_workers(self) -> None:
        """End all workers."""
        _end(self.wrks)
        self.wrks.clear()


class _Bell:
    """A worker says that it serves. A pipe, since a lock would stay locked with a worker that dies in it."""

    def __init__(self) -> None:
        self._here, self._there = os.pipe()
        os.set_blocking(self._here, False)

    def ring(self) -> None:
        os.write(self._there, b"1")

    def rang(self, seconds: float) -> bool:
        return bool(select.select([self._here], [], [], seconds)[0])

    def hush(self) -> None:
        while self.rang(0):
            os.read(self._here, 1024)


def _end(workers: Iterable[Any]) -> None:
    """End workers: one that was too young to hear it is told again, and one that never does is killed."""
    living = list(workers)
    for _ in range(_MOST_WORDS):
        for worker in living:
            worker.terminate()
        deadline = time.monotonic() + _AGAIN_S
        for worker in living:
            worker.join(max(0.0, deadline - time.monotonic()))
        living = [worker for worker in living if worker.is_alive()]
        if not living:
            return
    for worker in living:
        worker.kill()
        worker.join()


def stop_accepting(listening: int) -> None:
    """Put a socket that nobody connects to in the place of the shared one, in this process.

    The shared socket goes on in the other workers, with all connections that wait on it.
    """
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.setblocking(False)
        nobody.bind("")  # Linux gives it a name of its own
        nobody.listen(1)
        os.dup2(nobody.fileno(), listening)
