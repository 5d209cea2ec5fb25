"""How an app behind a pipe or a serial line speaks with its host: one JSON object a line.

    host:  {"request": "<base64>"}        a call for the app
    guest: {"call": {…}}                  a request of `abi`; the host answers {"result": {…}} and nothing else meanwhile
    guest: {"answer": "<base64>"}         the end of the call

Whatever else a guest writes is no line of ours and ends the call. `Talk` holds one call to its time and its sizes.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import selectors
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_adapters import abi

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.guest_log import GuestLog
    from runtime_adapters.port import Broker

# Base64 and the frame around it.
LONGEST_LINE = 2 * abi.LONGEST_ANSWER
LONGEST_OUTPUT = 4 << 20


class Talked(NamedTuple):
    """What one call came to."""

    status: str
    """done | timeout | output | exit | trap, or what `is_over` began with"""
    output: bytes
    detail: str
    egress_calls: int
    egress_bytes: int


class Talk:
    """One end of a line to a guest; `is_over` says why the guest has to go (`status: detail`), or is empty."""

    def __init__(
        self, to_guest: int, from_guest: int, broker: Broker, is_over: Callable[[], str], log: GuestLog
    ) -> None:
        """`to_guest`, `from_guest`: file descriptors; reading never blocks, writing waits for the guest to read."""
        self._to_guest, self._from_guest = to_guest, from_guest
        self._broker, self._log = broker, log
        self._is_over = is_over
        self._buffer = bytearray()
        os.set_blocking(from_guest, False)
        os.set_blocking(to_guest, False)
        self._calls = self._bytes = 0

    def call(self, request: bytes, timeout_s: float) -> Talked:
        """Hand over a request and serve the guest's calls until it answers."""
        self._calls = self._bytes = 0
        deadline = time.monotonic() + timeout_s
        try:
            self._send({"request": base64.b64encode(request).decode()}, deadline)
            while True:
                line = self._line(deadline)
                message = _message(line)
                if "answer" in message:
                    return self._done(_decoded(message["answer"]))
                self._send({"result": self._asked(message, deadline)}, deadline)
        except _Ended as ended:
            return Talked(ended.status, b"", ended.detail, self._calls, self._bytes)

    def _done(self, output: bytes) -> Talked:
        if len(output) > LONGEST_OUTPUT:
            raise _Ended("output", f"more than {LONGEST_OUTPUT} bytes of answer")
        return Talked("done", output, "", self._calls, self._bytes)

    def _asked(self, message: dict[str, Any], deadline: float) -> Any:
        raw = json.dumps(message.get("call")).encode()
        asked = abi.checked(raw)
        if asked is None:
            return json.loads(abi.refusal("bad_request", abi.NOT_READ))
        if asked["op"] == "log":
            self._log.write(abi.logged(asked))
            return {"ok": None}
        self._calls += 1
        self._bytes += len(raw)
        try:
            answer = self._broker(raw, max(0.0, deadline - time.monotonic()))
            return json.loads(answer)
        except Exception as error:  # noqa: BLE001  whatever went wrong out there, the guest hears a no and nothing else
            return json.loads(abi.refusal("broker_failed", type(error).__name__))

    def _send(self, message: dict[str, Any], deadline: float) -> None:
        raw = json.dumps(message).encode() + b"\n"
        while raw:
            self._wait(self._to_guest, selectors.EVENT_WRITE, deadline)
            try:
                raw = raw[os.write(self._to_guest, raw) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _over(self._is_over()) or _Ended("exit", "the app is gone") from None

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise _Ended("output", f"a line of more than {LONGEST_LINE} bytes")
            self._wait(self._from_guest, selectors.EVENT_READ, deadline)
            try:
                data = os.read(self._from_guest, 1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                raise _over(self._is_over()) or _Ended("exit", "the app ended without an answer")
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """Until the line is ready; looks up now and then whether the guest may go on."""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            while not selector.select(min(0.05, max(0.0, deadline - time.monotonic()))):
                ended = _over(self._is_over())
                if ended:
                    raise ended
                if time.monotonic() >= deadline:
                    raise _Ended("timeout", "no answer in its time")


class _Ended(Exception):
    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def _over(reason: str) -> _Ended | None:
    status, _, detail = reason.partition(":")
    return _Ended(status, detail.strip()) if reason else None


def _message(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"call", "answer"}:
        raise _Ended("trap", "the app wrote a line that is none of the protocol")
    return value


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise _Ended("trap", "the app's answer is not base64") from None
