"""WebAssembly components: the world of `runtime_adapters/wit/microapp.wit` and nothing else.

A component may import four things of ours, and of WASI 0.2 what `preview2` has; it exports `handle`.

Two traps of the binding. A host function takes whatever type a component declares for it, so the types are compared before
anything is started. An exception raised in a host function is kept in one place for the whole process and may come out in
another thread's call, so none is raised here: whatever breaks is a refusal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime_adapters import abi
from runtime_adapters.port import BadArtifact
from runtime_adapters.wasm.component_doors import ComponentDoors
from runtime_adapters.wasm.doors import ASKED_FUEL
from runtime_adapters.wasm.engine import MOST_PARTS, host
from runtime_adapters.wasm.preview2 import Handles, add_preview2, check_wasi
from runtime_adapters.wasm.run import Parts, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker, Mask
    from runtime_adapters.wasm.doors import Inside

PACKAGE, VERSION = "microapp:host", "1.0.0"
_TYPES = "types"
# Functions by interface, with how many texts each takes; every one answers `result<string, refusal>`.
_FUNCTIONS = {"connector": {"call": 2}, "events": {"publish": 2}, "kv": {"get": 1, "put": 2}}


def check_component(component: Any) -> None:
    """Raises BadArtifact naming what a component may not import, or does not export."""
    engine = host().engine
    for name, extern in component.type.imports(engine).items():
        if not check_wasi(name, extern.ty, engine):
            _check_import(name, extern.ty)
    handle = component.type.exports(engine).get("handle")
    if handle is None or not _is_function(handle.ty, 1, _is_text):
        raise BadArtifact(
            "the component exports no `handle: func(request: string) -> string`; see runtime_adapters/wit"
        )


def _check_import(name: str, item: Any) -> None:
    import wasmtime.component as parts

    interface = name.removeprefix(f"{PACKAGE}/").removesuffix(f"@{VERSION}")
    is_ours = name == f"{PACKAGE}/{interface}@{VERSION}" and (interface == _TYPES or interface in _FUNCTIONS)
    if name == "log" and _is_function(item, 1, lambda result: result is None):
        return
    if not is_ours or not isinstance(item, parts.ComponentInstanceType):
        raise BadArtifact(f"the component imports {name[:80]}, which nothing here provides; see runtime_adapters/wit")
    for member, extern in item.exports(host().engine).items():
        known = _FUNCTIONS.get(interface, {}).get(member)
        is_shape = member == "refusal" and isinstance(extern.ty, parts.RecordType)
        if not is_shape and not (known is not None and _is_function(extern.ty, known, _is_answer)):
            raise BadArtifact(f"the component imports {name}.{member[:40]} in a form that nothing here provides")


def _is_function(item: Any, texts: int, is_result: Callable[[Any], bool]) -> bool:
    import wasmtime.component as parts

    return (
        isinstance(item, parts.FuncType)
        and [type(kind) for _, kind in item.params] == [parts.String] * texts
        and is_result(item.result)
    )


def _is_text(kind: Any) -> bool:
    import wasmtime.component as parts

    return isinstance(kind, parts.String)


def _is_answer(kind: Any) -> bool:
    import wasmtime.component as parts

    return (
        isinstance(kind, parts.ResultType)
        and _is_text(kind.ok)
        and isinstance(kind.err, parts.RecordType)
        and [(name, _is_text(field)) for name, field in kind.err.fields] == [("code", True), ("message", True)]
    )


def linked_component(component: Any) -> tuple[Any, ...]:
    """The component, and a linker that leads what it imports to the run that its thread is inside of."""
    import wasmtime.component as parts

    inside, engine = host().inside, host().engine
    linker, wasi = parts.Linker(engine), ComponentDoors(inside)
    doors: dict[str, dict[str, Callable[..., bytes | None]]] = {
        "connector": {"call": _connector_call},
        "events": {"publish": lambda kind, data: _packed({"op": "events.publish", "type": kind}, "data", data)},
        "kv": {
            "get": lambda key: json.dumps({"op": "kv.get", "key": key}).encode(),
            "put": lambda key, value: _packed({"op": "kv.put", "key": key}, "value", value),
        },
    }
    with linker.root() as root:
        add_preview2(root, wasi, component.type.imports(engine), engine)
        root.add_func("log", _logging(inside))
        with root.add_instance(f"{PACKAGE}/{_TYPES}@{VERSION}"):
            pass
        for interface, functions in doors.items():
            with root.add_instance(f"{PACKAGE}/{interface}@{VERSION}") as instance:
                for name, request in functions.items():
                    instance.add_func(name, _asking(inside, request))
    return linker, component, wasi


def _logging(inside: Inside) -> Callable[[Any, str], None]:
    """The host's end of `log`."""

    def log(_store: Any, text: str) -> None:
        inside.run.write_log(text.encode() + b"\n")
        inside.run.count_call()

    return log


def _asking(inside: Inside, request: Callable[..., bytes | None]) -> Callable[..., Any]:
    """The host's end of one function: texts in, the broker's answer or its refusal out."""

    def ask(_store: Any, *texts: str) -> Any:
        try:
            inside.run.owed += ASKED_FUEL * sum(map(len, texts))
            raw = request(*texts)
            answer = abi.refusal("bad_request", "not JSON as it is asked for") if raw is None else inside.run.ask(raw)
            inside.run.count_call()
            return _heard(json.loads(answer))
        except Exception as error:  # noqa: BLE001  an exception here may surface in another app's call
            return _refused("broker_failed", type(error).__name__)

    return ask


def _connector_call(connector: str, request: str) -> bytes | None:
    """What the app says of a call does not get to say which operation it is, nor through which connector."""
    asked = _parsed(request)
    if not isinstance(asked, dict):
        return None
    return json.dumps({**asked, "op": "connector.call", "connector": connector}).encode()


def _packed(asked: dict[str, Any], member: str, text: str) -> bytes | None:
    value = _parsed(text)
    return None if value is _NOTHING else json.dumps({**asked, member: value}).encode()


_NOTHING = object()


def _parsed(text: str) -> Any:
    """The value; `_NOTHING` for what is no JSON, or larger than any request."""
    if len(text) > abi.LONGEST_REQUEST:
        return _NOTHING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING


def _heard(answer: Any) -> Any:
    if isinstance(answer, dict) and "ok" in answer:
        return json.dumps(answer["ok"])
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return _refused("broker_failed", "the broker's answer is none of its own")
    return _refused(str(error.get("code", "")), str(error.get("message", "")))


def _refused(code: str, message: str) -> Any:
    import wasmtime.component as parts

    refused = parts.Record()
    for name, text in (("code", code), ("message", message)):
        # Halves of characters have no UTF-8, and the binding would raise.
        setattr(refused, name, text.encode("utf-8", "replace").decode())
    return refused


class ComponentRun(Run):
    """One call of `handle`. Its memory cannot be looked at from here: what counts is its cap."""

    parts = Parts(MOST_PARTS, MOST_PARTS)

    def __init__(self, plan: RuntimePlan, broker: Broker, mask: Mask, request: bytes) -> None:
        super().__init__(plan, broker, mask)
        self._request = request
        self.handles = Handles()

    def enter(self, store: Any, code: Any) -> bytes:
        """The request has to be UTF-8."""
        linker, component, _ = code
        request = self._request.decode()
        self.memory_mib = float(self._plan.caps.memory_mib)
        instance = linker.instantiate(store, component)
        handle = instance.get_func(store, "handle")
        answer: str = handle(store, request)
        return answer.encode()
