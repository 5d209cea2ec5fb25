"""Host functions of components, in the binding's own words: bytes are never taken one by one, and nothing is shared.

The binding's public half makes a Python number of each byte that a guest hands over, on a clock that no deadline stops, and
keeps an exception of a host function in one place for the whole process. Here a list of bytes is looked at once it is known to
be short, and what goes wrong ends its own guest; the words for it stay with the run. What a component says a function takes
and gives is compared with what it does (`shape`) before anything is started: nothing else would look at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_adapters.wasm.doors import LISTED_FUEL, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.wasm.doors import Inside

LONGEST_LIST = 4096
"""Bytes, or handles, that a guest hands over at a time: as many as `check-write` allows."""


NOTHING, DONE = object(), object()
"""What a function gives that has no result; that it went well, where a result says no more."""


class Handle(NamedTuple):
    """Something of this host's that a guest holds by a number of its own."""

    sort: int
    rep: int


def shape(kind: Any) -> str:
    """A type of the component model in words of WIT; resources are `own` and `borrow`, told apart when they are used."""
    import wasmtime.component as parts

    if kind is None:
        return "_"
    if isinstance(kind, parts.ListType):
        return f"list<{shape(kind.element)}>"
    if isinstance(kind, parts.OptionType):
        return f"option<{shape(kind.payload)}>"
    if isinstance(kind, parts.ResultType):
        return f"result<{shape(kind.ok)},{shape(kind.err)}>"
    if isinstance(kind, parts.TupleType):
        return f"tuple<{','.join(map(shape, kind.elements))}>"
    if isinstance(kind, parts.RecordType):
        return f"record<{','.join(f'{name}:{shape(field)}' for name, field in kind.fields)}>"
    if isinstance(kind, parts.VariantType):
        return f"variant<{','.join(f'{name}:{shape(case)}' for name, case in kind.cases)}>"
    return type(kind).__name__.removesuffix("Type").lower()


def signature(item: Any) -> str:
    """Of a function: `(parameters) result`."""
    return f"({','.join(shape(kind) for _, kind in item.params)}) {shape(item.result)}"


class ComponentDoors:
    """Defines functions of ours in instances of a linker; keep it for as long as anything is started."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._kept: list[Any] = []

    def add(self, instance: Any, name: str, function: Callable[..., Any], *, takes: bool = True) -> None:
        """Define `name`. `function(run, *arguments)` gives the result; what it raises ends the guest.

        Without `takes` nobody looks at what it is given. Numbers come as they are, a `result` as its truth, lists of bytes as
        bytes, handles as `Handle`. So they go back, and everything else as the binding has it; see `NOTHING` and `DONE`.
        """
        import wasmtime
        from wasmtime import _ffi as ffi

        callback = ffi.wasmtime_component_func_callback_t(self._called(function, takes=takes))
        self._kept.append(callback)
        label = name.encode()
        error = ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), label, len(label), callback, None, _nothing()
        )
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001  as the public half does it

    def dropping(self, is_pollable: bool) -> Callable[[Any, int], None]:  # noqa: FBT001  one of two functions
        """What the engine calls when a guest lets go of something of ours."""
        inside = self._inside

        def dropped(_store: Any, rep: int) -> None:
            if inside.run is not None:
                (inside.run.handles.dropped if is_pollable else inside.run.handles.let_go)(rep)

        return dropped

    def _called(self, function: Callable[..., Any], *, takes: bool) -> Callable[..., int]:
        """What the engine calls: 0, or the address of an error."""
        import ctypes

        import wasmtime
        from wasmtime import _ffi as ffi

        inside = self._inside

        def call(_data: Any, context: Any, kind: Any, values: Any, count: int, results: Any, _results: int) -> int:
            store = wasmtime.StoreContext(context)
            try:
                inside.run.owed += LISTED_FUEL * sum(_listed(values[at]) for at in range(count))
                given = [_taken(store, values[at]) for at in range(count)] if takes else []
                answer = function(inside.run, *given)
                _put(store, kind, answer, results)
                inside.run.count_call()
            except BaseException as error:  # noqa: BLE001  nothing may be raised through the engine's frames
                if inside.run is not None:
                    inside.run.stopped_by = error
                return ctypes.cast(ffi.wasmtime_error_new(b"stopped"), ctypes.c_void_p).value or 0
            finally:
                store._invalidate()  # noqa: SLF001
            return 0

        return call


def _nothing() -> Any:
    import ctypes

    return ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))


def _listed(value: Any) -> int:
    """How long a list is that the engine has taken apart for us, whether or not anybody looks at it."""
    from wasmtime import _ffi as ffi

    return int(value.of.list.size) if value.kind == ffi.WASMTIME_COMPONENT_LIST.value else 0


def _taken(store: Any, value: Any) -> Any:
    """What a guest handed over. The engine frees it."""
    from wasmtime import _ffi as ffi

    kind, of = value.kind, value.of
    if kind == ffi.WASMTIME_COMPONENT_U64.value:
        return int(of.u64)
    if kind == ffi.WASMTIME_COMPONENT_RESULT.value:
        return bool(of.result.is_ok)
    if kind == ffi.WASMTIME_COMPONENT_RESOURCE.value:
        return _handle(store, of.resource)
    if kind == ffi.WASMTIME_COMPONENT_LIST.value:
        return _list(store, of.list)
    raise Stopped("a host call with something that nothing here takes")


def _handle(store: Any, resource: Any) -> Handle:
    import ctypes

    import wasmtime
    from wasmtime import _ffi as ffi

    found = ctypes.POINTER(ffi.wasmtime_component_resource_host_t)()
    error = ffi.wasmtime_component_resource_any_to_host(store._context(), resource, ctypes.byref(found))  # noqa: SLF001
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001
    try:
        return Handle(ffi.wasmtime_component_resource_host_type(found), ffi.wasmtime_component_resource_host_rep(found))
    finally:
        ffi.wasmtime_component_resource_host_delete(found)


def _list(store: Any, values: Any) -> bytes | list[Handle]:
    """A list of bytes by one look at all of them, or of handles."""
    import ctypes

    from wasmtime import _ffi as ffi

    count, size = values.size, ctypes.sizeof(ffi.wasmtime_component_val_t)
    if count > LONGEST_LIST:
        raise Stopped(f"a host call with a list of {count}; at most {LONGEST_LIST} are taken")
    if not count or values.data[0].kind == ffi.WASMTIME_COMPONENT_U8.value:
        raw = ctypes.string_at(values.data, count * size) if count else b""
        return raw[ffi.wasmtime_component_val.of.offset :: size]
    return [_handle(store, values.data[at].of.resource) for at in range(count)]


def _put(store: Any, kind: Any, answer: Any, results: Any) -> None:
    """The answer as the engine has it; what is given all the time at once, since asking for its type costs more."""
    from wasmtime import _ffi as ffi
    from wasmtime.component._types import FuncType

    value = results[0] if answer is not NOTHING else None
    if value is None:
        return
    if answer is DONE:
        value.kind, value.of.result.is_ok, value.of.result.val = ffi.WASMTIME_COMPONENT_RESULT.value, True, None
    elif isinstance(answer, Handle):
        value.kind, value.of.resource = ffi.WASMTIME_COMPONENT_RESOURCE.value, _own(store, answer)
    elif isinstance(answer, bytes):
        value.kind, value.of.list = _bytes(answer)
    else:
        with FuncType._from_ptr(kind, owner=store) as known:  # noqa: SLF001
            known.result.convert_to_c(store, answer, results)


def _own(store: Any, handle: Handle) -> Any:
    import wasmtime.component as parts

    return parts.ResourceHost.own(handle.rep, handle.sort).to_any(store)._consume()  # noqa: SLF001


def _bytes(data: bytes) -> tuple[Any, Any]:
    """A list of bytes as the engine has it: each of them a value of its own."""
    import ctypes

    from wasmtime import _ffi as ffi

    size = ctypes.sizeof(ffi.wasmtime_component_val_t)
    made = ffi.wasmtime_component_vallist_t()
    ffi.wasmtime_component_vallist_new_uninit(ctypes.byref(made), len(data))
    raw = bytearray(size * len(data))
    raw[ffi.wasmtime_component_val.kind.offset :: size] = bytes([ffi.WASMTIME_COMPONENT_U8.value]) * len(data)
    raw[ffi.wasmtime_component_val.of.offset :: size] = data
    ctypes.memmove(made.data, bytes(raw), len(raw))
    return ffi.WASMTIME_COMPONENT_LIST.value, made
