"""WASI preview 2 for a component that has nothing: three streams, a clock, random bytes, and a no to everything else.

As `preview1` for modules. The engine's own is not linked: it can wait inside the host, where no deadline reaches. Here a wait
ends with the call's time at the latest, and the guest behind it. What is written to either stream is log; standard input is at
its end; there are no variables, arguments, folders or terminals. Files and sockets can be imported, as toolchains do, and end
the guest that asks for one. A function in another form than it has here is refused before anything is started.
Format: WASI 0.2 (WebAssembly/WASI, `proposals/*/wit-0.2`).
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_adapters.port import BadArtifact
from runtime_adapters.wasm.component_doors import DONE, LONGEST_LIST, NOTHING, Handle, signature
from runtime_adapters.wasm.doors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.wasm.component_doors import ComponentDoors

    Function = Callable[..., Any]

_INTERFACE = re.compile(r"wasi:([a-z]+/[a-z-]+)@0\.2\.\d{1,4}")
# Whatever these have beside what is done here ends the guest: it asked for a file or a socket.
_OURS = frozenset({
    "io/poll", "io/error", "io/streams", "clocks/monotonic-clock", "clocks/wall-clock", "random/random", "random/insecure",
    "random/insecure-seed", "cli/environment", "cli/exit", "cli/stdin", "cli/stdout", "cli/stderr", "cli/terminal-input",
    "cli/terminal-output", "cli/terminal-stdin", "cli/terminal-stdout", "cli/terminal-stderr", "filesystem/preopens",
    "filesystem/types", "sockets/network", "sockets/instance-network", "sockets/ip-name-lookup", "sockets/tcp",
    "sockets/tcp-create-socket", "sockets/udp", "sockets/udp-create-socket",
})  # fmt: skip
_POLLABLE, _ERROR, _INPUT, _OUTPUT, _OTHERS = 1, 2, 3, 4, 5
_SORTS = {"pollable": _POLLABLE, "error": _ERROR, "input-stream": _INPUT, "output-stream": _OUTPUT}
"""Resources that are given out, by name; of `_OTHERS` a guest never holds one. Numbers are the linker's."""
_MOST_HANDLES = 1000
_STREAM_ERROR = "variant<last-operation-failed:own,closed:_>"
_DONE = f"result<_,{_STREAM_ERROR}>"


class Known(NamedTuple):
    """A function of ours: its form, and what it does with the run and what the guest hands over."""

    form: str
    function: Function


class Handles:
    """What a call's guest holds: when each pollable is ready, in nanoseconds of this host's monotonic clock."""

    def __init__(self) -> None:
        self._ready: dict[int, int] = {}
        self._next = self.held = 0

    def taken(self, sort: int, rep: int) -> Handle:
        """One more; raises Stopped for a guest that never lets go of any."""
        self.held += 1
        if self.held > _MOST_HANDLES:
            raise Stopped(f"more than {_MOST_HANDLES} handles at a time")
        return Handle(sort, rep)

    def pollable(self, ready_ns: int) -> Handle:
        """Ready from then on."""
        self._next += 1
        self._ready[self._next] = ready_ns
        return self.taken(_POLLABLE, self._next)

    def ready_ns(self, handle: Handle) -> int:
        """Raises Stopped for what is no pollable."""
        if handle.sort != _POLLABLE:
            raise Stopped("a host call with a handle of another sort")
        return self._ready[handle.rep]

    def dropped(self, rep: int) -> None:
        """A pollable that the guest let go of."""
        self.held -= 1
        self._ready.pop(rep, None)

    def let_go(self, _rep: int) -> None:
        """Something else."""
        self.held -= 1


def check_wasi(name: str, item: Any, engine: Any) -> bool:
    """Whether this import is WASI's and ours to give. Raises BadArtifact for a function of it in another form."""
    import wasmtime.component as parts

    interface = _interface(name)
    if interface not in _OURS or not isinstance(item, parts.ComponentInstanceType):
        return False
    for member, extern in item.exports(engine).items():
        known = _FUNCTIONS.get(f"{interface}.{member}")
        if isinstance(extern.ty, parts.FuncType):
            if known is not None and signature(extern.ty) != known.form:
                raise BadArtifact(
                    f"the component imports {name}.{member} as {signature(extern.ty)[:80]}, not {known.form}"
                )
        elif isinstance(extern.ty, (parts.ComponentType, parts.ComponentInstanceType, parts.ModuleType)):
            raise BadArtifact(f"the component imports {name}.{member[:40]}, which is no function and no type")
    return True


def add_preview2(root: Any, doors: ComponentDoors, imports: dict[str, Any], engine: Any) -> None:
    """Define what a component that passed `check_wasi` imports of WASI, under the names that it uses."""
    import wasmtime.component as parts

    for name, extern in imports.items():
        interface = _interface(name)
        if not interface:
            continue
        with root.add_instance(name) as instance:
            for member, part in extern.ty.exports(engine).items():
                if isinstance(part.ty, parts.FuncType):
                    function = f"{interface}.{member}"
                    known = _FUNCTIONS.get(function, Known("", partial(_refused, function)))
                    doors.add(instance, member, known.function, takes=function in _FUNCTIONS)
                elif isinstance(part.ty, parts.ResourceType):
                    sort = _SORTS.get(member, _OTHERS)
                    instance.add_resource(member, parts.ResourceType.host(sort), doors.dropping(sort == _POLLABLE))


def _interface(name: str) -> str:
    found = _INTERFACE.fullmatch(name)
    return found[1] if found else ""


def _refused(name: str, _run: Any, *_given: Any) -> Any:
    raise Stopped(f"the app asked for wasi:{name}; there are no files and no sockets here, only the broker")


def _log(run: Any, stream: Handle, data: bytes) -> Any:
    if stream.sort != _OUTPUT:
        raise Stopped("a host call with a handle of another sort")
    run.write_log(data)
    return DONE


def _zeroes(run: Any, stream: Handle, count: int) -> Any:
    return _log(run, stream, bytes(min(count, LONGEST_LIST)))


def _nothing_to_do(_run: Any, _stream: Handle) -> Any:
    return DONE


def _ready(run: Any, *_given: Any) -> Any:
    """A pollable for what is always ready."""
    return run.handles.pollable(0)


def _at_its_end(_run: Any, _stream: Handle, _count: int) -> None:
    """`closed`."""


def _subscribed(run: Any, wait_ns: int) -> Any:
    return run.handles.pollable(time.monotonic_ns() + wait_ns)


def _subscribed_at(run: Any, instant: int) -> Any:
    """`instant` is of the guest's own clock."""
    return _subscribed(run, max(0, instant - run.senses.monotonic_ns()))


def _block(run: Any, pollable: Handle) -> Any:
    run.rest_until(run.handles.ready_ns(pollable))
    return NOTHING


def _poll(run: Any, pollables: list[Handle]) -> list[int]:
    """Raises Stopped for none: nobody would ever be ready."""
    if not pollables:
        raise Stopped("a poll of nothing")
    ready = [run.handles.ready_ns(handle) for handle in pollables]
    run.rest_until(min(ready))
    now, first = time.monotonic_ns(), min(ready)
    return [at for at, when in enumerate(ready) if when <= max(now, first)]


def _is_ready(run: Any, pollable: Handle) -> bool:
    return bool(run.handles.ready_ns(pollable) <= time.monotonic_ns())


def _wall(run: Any) -> Any:
    return _moment(run.senses.wall_ns())


def _moment(nanoseconds: int) -> Any:
    from wasmtime.component import Record

    moment = Record()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    for name, value in (("seconds", seconds), ("nanoseconds", rest)):
        setattr(moment, name, value)
    return moment


def _random(run: Any, count: int) -> bytes:
    if count > _MOST_RANDOM:
        raise Stopped(f"{count} random bytes at a time; at most {_MOST_RANDOM} are given")
    return bytes(run.random(count))


_MOST_RANDOM = 1 << 16


def _random_number(run: Any) -> int:
    return int.from_bytes(run.random(8), "little")


def _exit(run: Any, is_well: bool) -> None:  # noqa: FBT001  as the engine hands it over
    run.exit_code = 0 if is_well else 1
    raise Stopped("the guest is done")


_FUNCTIONS: dict[str, Known] = {
    "io/poll.[method]pollable.block": Known("(borrow) _", _block),
    "io/poll.[method]pollable.ready": Known("(borrow) bool", _is_ready),
    "io/poll.poll": Known("(list<borrow>) list<u32>", _poll),
    "io/streams.[method]input-stream.read": Known(f"(borrow,u64) result<list<u8>,{_STREAM_ERROR}>", _at_its_end),
    "io/streams.[method]input-stream.blocking-read": Known(f"(borrow,u64) result<list<u8>,{_STREAM_ERROR}>", _at_its_end),
    "io/streams.[method]input-stream.skip": Known(f"(borrow,u64) result<u64,{_STREAM_ERROR}>", _at_its_end),
    "io/streams.[method]input-stream.blocking-skip": Known(f"(borrow,u64) result<u64,{_STREAM_ERROR}>", _at_its_end),
    "io/streams.[method]input-stream.subscribe": Known("(borrow) own", _ready),
    "io/streams.[method]output-stream.check-write": Known(
        f"(borrow) result<u64,{_STREAM_ERROR}>", lambda _run, _stream: LONGEST_LIST),
    "io/streams.[method]output-stream.write": Known(f"(borrow,list<u8>) {_DONE}", _log),
    "io/streams.[method]output-stream.blocking-write-and-flush": Known(f"(borrow,list<u8>) {_DONE}", _log),
    "io/streams.[method]output-stream.flush": Known(f"(borrow) {_DONE}", _nothing_to_do),
    "io/streams.[method]output-stream.blocking-flush": Known(f"(borrow) {_DONE}", _nothing_to_do),
    "io/streams.[method]output-stream.subscribe": Known("(borrow) own", _ready),
    "io/streams.[method]output-stream.write-zeroes": Known(f"(borrow,u64) {_DONE}", _zeroes),
    "io/streams.[method]output-stream.blocking-write-zeroes-and-flush": Known(f"(borrow,u64) {_DONE}", _zeroes),
    "clocks/monotonic-clock.now": Known("() u64", lambda run: run.senses.monotonic_ns()),
    "clocks/monotonic-clock.resolution": Known("() u64", lambda run: run.senses.resolution_ns),
    "clocks/monotonic-clock.subscribe-instant": Known("(u64) own", _subscribed_at),
    "clocks/monotonic-clock.subscribe-duration": Known("(u64) own", _subscribed),
    "clocks/wall-clock.now": Known("() record<seconds:u64,nanoseconds:u32>", _wall),
    "clocks/wall-clock.resolution": Known(
        "() record<seconds:u64,nanoseconds:u32>", lambda run: _moment(run.senses.resolution_ns)),
    "random/random.get-random-bytes": Known("(u64) list<u8>", _random),
    "random/random.get-random-u64": Known("() u64", _random_number),
    "random/insecure.get-insecure-random-bytes": Known("(u64) list<u8>", _random),
    "random/insecure.get-insecure-random-u64": Known("() u64", _random_number),
    "random/insecure-seed.insecure-seed": Known(
        "() tuple<u64,u64>", lambda run: (_random_number(run), _random_number(run))),
    "cli/environment.get-environment": Known("() list<tuple<string,string>>", lambda _run: []),
    "cli/environment.get-arguments": Known("() list<string>", lambda _run: []),
    "cli/environment.initial-cwd": Known("() option<string>", lambda _run: None),
    "cli/exit.exit": Known("(result<_,_>) _", _exit),
    "cli/stdin.get-stdin": Known("() own", lambda run: run.handles.taken(_INPUT, 0)),
    "cli/stdout.get-stdout": Known("() own", lambda run: run.handles.taken(_OUTPUT, 1)),
    "cli/stderr.get-stderr": Known("() own", lambda run: run.handles.taken(_OUTPUT, 2)),
    "cli/terminal-stdin.get-terminal-stdin": Known("() option<own>", lambda _run: None),
    "cli/terminal-stdout.get-terminal-stdout": Known("() option<own>", lambda _run: None),
    "cli/terminal-stderr.get-terminal-stderr": Known("() option<own>", lambda _run: None),
    "filesystem/preopens.get-directories": Known("() list<tuple<own,string>>", lambda _run: []),
}  # fmt: skip
