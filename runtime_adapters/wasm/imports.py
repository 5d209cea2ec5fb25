"""What a module may import, and what it finds there.

WASI preview 1 as wasmtime has it, with no folder opened, no variable set and no argument given, so that files, sockets and
environment are empty; and `microapp_v1.call`, the only way out. A module that imports anything else is not started.

    call(request: i32, length: i32, answer: i32, capacity: i32) -> i32

hands over `length` bytes of JSON (see `abi`) and has the answer's bytes put at `answer`; the result is the answer's
length, also where `capacity` is less, and then nothing was put there. Waiting (`poll_oneoff`) is not possible: the engine
cannot interrupt a host that sleeps for its guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters import abi
from runtime_adapters.port import BadArtifact

if TYPE_CHECKING:
    import wasmtime

WASI, OURS = "wasi_snapshot_preview1", "microapp_v1"
_ENOSYS = 52
# Preview 1 without sockets; `poll_oneoff` is there and says that it is not.
_WASI_CALLS = frozenset(
    """
    args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate fd_close
    fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
    fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_seek
    fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open
    path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit random_get
    sched_yield
    """.split()  # noqa: SIM905  a list of forty quoted names says less
)


def check_imports(module: Any) -> None:
    """Raises BadArtifact naming what a module may not import."""
    import wasmtime

    for wanted in module.imports:
        name = f"{wanted.module}.{wanted.name}"
        is_known = (wanted.module == WASI and wanted.name in _WASI_CALLS) or name == f"{OURS}.call"
        if not is_known or not isinstance(wanted.type, wasmtime.FuncType):
            raise BadArtifact(f"the module imports {name[:80]}, which nothing here provides")
    exported = {export.name: export.type for export in module.exports}
    if not isinstance(exported.get("_start"), wasmtime.FuncType):
        raise BadArtifact("the module exports no function `_start`; build it as a WASI command")


def linker_for(engine: wasmtime.Engine, calls: Calls) -> wasmtime.Linker:
    """Everything in `check_imports`, with the way out going to `calls`."""
    import wasmtime

    i32 = wasmtime.ValType.i32()
    linker = wasmtime.Linker(engine)
    linker.allow_shadowing = True
    linker.define_wasi()
    linker.define_func(WASI, "poll_oneoff", wasmtime.FuncType([i32] * 4, [i32]), lambda *_: _ENOSYS)
    linker.define_func(OURS, "call", wasmtime.FuncType([i32] * 4, [i32]), calls.take, access_caller=True)
    return linker


class Calls:
    """The host's end of `microapp_v1.call`. One guest at a time is inside: `current` is whose call it is."""

    def __init__(self) -> None:
        self.current: Any = None

    def take(self, caller: Any, start: int, length: int, answer: int, capacity: int) -> int:
        """Read the guest's memory, ask, write back. Places outside its memory end the guest."""
        memory = caller.get("memory")
        size = memory.data_len(caller) if memory is not None else 0
        start, length, answer, capacity = (number & 0xFFFFFFFF for number in (start, length, answer, capacity))
        if start + length > size or answer + capacity > size:
            raise OutOfBounds("a host call points outside the module's memory")
        if length > abi.LONGEST_REQUEST:
            raw = abi.refusal("too_large", f"a request of {length} bytes; at most {abi.LONGEST_REQUEST}")
        else:
            raw = self.current.ask(bytes(memory.read(caller, start, start + length)))
        if len(raw) <= capacity:
            memory.write(caller, raw, answer)
        return len(raw)


class OutOfBounds(Exception):
    """Raised through the guest, which ends with it."""
