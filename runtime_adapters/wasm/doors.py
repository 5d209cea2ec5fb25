"""Host functions of core modules, in the binding's own words: ten times cheaper than its public half, and nothing is shared.

The public half keeps an exception of a host function in one place for the whole process, where another thread's call may find
it. Here a function that fails ends its own guest with a trap, and the words for it stay with the run. Guest memory is only ever
seen through a view of exactly its size, so that a wrong number is an exception and never a byte of ours.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import wasmtime

    Function = Callable[..., int | None]


# What we do for a guest is counted as if it had done it, about a unit of fuel a nanosecond: the engine counts its own
# instructions alone, and a guest that does nothing but ask would have a whole core where it may have a tenth.
CALL_FUEL, PIECE_FUEL = 8_000, 1_000
"""Of a host call, whatever it is; of a piece that it reads or writes."""
RANDOM_FUEL, ASKED_FUEL, COPIED_FUEL, LISTED_FUEL = 3, 10, 1, 100
"""Of a byte: made at random; of a request, which is read as JSON; handed over; handed over by a component, one by one."""


class Stopped(Exception):
    """Ends the guest that asked; the run knows why."""


class Guest(NamedTuple):
    """Who is inside, for a host function: its run, and its memory while the function lasts."""

    run: Any
    memory: memoryview


class Inside(threading.local):
    """The run that this thread is inside of. A guest never leaves the thread that called it."""

    run: Any = None


class Doors:
    """A linker with functions of ours, and what they need to stay alive: keep both for as long as anything is started."""

    def __init__(self, engine: wasmtime.Engine, inside: Inside) -> None:
        import wasmtime

        self.linker = wasmtime.Linker(engine)
        self.inside = inside
        self._kept: list[Any] = []

    def add(self, module: str, name: str, parameters: str, function: Function, *, has_result: bool = True) -> None:
        """Define `module.name`; in `parameters` stands i for a 32-bit and I for a 64-bit number, both without sign.

        `function(guest, *numbers)` gives a 32-bit number. What it raises ends the guest.
        """
        import ctypes

        import wasmtime
        from wasmtime import _ffi as ffi

        number = {"i": wasmtime.ValType.i32(), "I": wasmtime.ValType.i64()}
        kind = wasmtime.FuncType([number[letter] for letter in parameters], [number["i"]] if has_result else [])
        callback = ffi.wasmtime_func_unchecked_callback_t(
            _callback(self.inside, parameters, function, has_result=has_result)
        )
        self._kept.append(callback)
        space, label = module.encode(), name.encode()
        nothing = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
        error = ffi.wasmtime_linker_define_func_unchecked(
            self.linker.ptr(), space, len(space), label, len(label), kind.ptr(), callback, None, nothing
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001  as the public half does it


def _callback(inside: Inside, parameters: str, function: Function, *, has_result: bool) -> Callable[..., int]:
    """What the engine calls: numbers out of its array, the answer back into it, 0 or the address of a trap."""
    import ctypes

    from wasmtime import _ffi as ffi

    places = [(at, letter == "i") for at, letter in enumerate(parameters)]

    def call(_data: Any, caller: Any, values: Any, _count: int) -> int:
        try:
            numbers = [
                values[at].i32 & 0xFFFFFFFF if is_short else values[at].i64 & 0xFFFFFFFFFFFFFFFF
                for at, is_short in places
            ]
            answer = function(Guest(inside.run, _memory(caller)), *numbers)
            if has_result:
                values[0].i32 = answer
            inside.run.count_call()
        except BaseException as error:  # noqa: BLE001  nothing may be raised through the engine's frames
            if inside.run is not None:
                inside.run.stopped_by = error
            trap = ffi.wasmtime_trap_new(b"stopped", 7)
            return ctypes.cast(trap, ctypes.c_void_p).value or 0
        return 0

    return call


_NONE = memoryview(bytearray())
_WRITABLE = 0x200  # PyBUF_WRITE


def _memory(caller: Any) -> memoryview:
    """The caller's memory, writable, as large as it is now; empty where it exports none."""
    import ctypes

    from wasmtime import _ffi as ffi

    found: Any = ffi.wasmtime_extern_t()  # whose numbers Python has as int, and the stubs as C's
    if not ffi.wasmtime_caller_export_get(caller, b"memory", 6, ctypes.byref(found)):
        return _NONE
    if found.kind != ffi.WASMTIME_EXTERN_MEMORY.value:
        return _NONE
    context, memory = ffi.wasmtime_caller_context(caller), ctypes.byref(found.of.memory)
    size = ffi.wasmtime_memory_data_size(context, memory)
    if not size:
        return _NONE
    start = ctypes.cast(ffi.wasmtime_memory_data(context, memory), ctypes.c_void_p)
    return _view_of()(start, size, _WRITABLE)


@cache
def _view_of() -> Callable[[Any, int, int], memoryview]:
    """Python's own way to see memory that is somebody else's, with bounds."""
    import ctypes

    view: Any = ctypes.pythonapi.PyMemoryView_FromMemory
    view.argtypes, view.restype = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int], ctypes.py_object
    return view  # type: ignore[no-any-return]


def numbers_at(memory: memoryview, address: int, count: int) -> Sequence[int]:
    """`count` 32-bit words of the guest. Raises Stopped for what lies outside."""
    return part(memory, address, 4 * count).cast("I")


def part(memory: memoryview, address: int, length: int) -> memoryview:
    """A piece of the guest's memory. Raises Stopped for what lies outside: a slice would be cut short in silence."""
    if address + length > len(memory):
        raise Stopped("a host call points outside the module's memory")
    return memory[address : address + length]
