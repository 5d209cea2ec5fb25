"""What a module may import: preview 1 as `preview1` has it, and `microapp_v1.call`, the only way out.

    call(request: i32, length: i32, answer: i32, capacity: i32) -> i32

hands over `length` bytes of JSON (see `abi`) and has the answer's bytes put at `answer`; the result is the answer's
length, also where `capacity` is less, and then nothing was put there. A module that imports anything else is not started.
"""

from __future__ import annotations

import atexit
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from runtime_adapters import abi
from runtime_adapters.port import BadArtifact
from runtime_adapters.wasm.doors import Doors, part
from runtime_adapters.wasm.engine import host
from runtime_adapters.wasm.preview1 import NAMES, WASI, add_preview1

if TYPE_CHECKING:
    from runtime_adapters.wasm.doors import Guest

OURS = "microapp_v1"


def check_imports(module: Any) -> None:
    """Raises BadArtifact naming what a module may not import."""
    import wasmtime

    for wanted in module.imports:
        name = f"{wanted.module}.{wanted.name}"
        is_known = (wanted.module == WASI and wanted.name in NAMES) or name == f"{OURS}.call"
        if not is_known or not isinstance(wanted.type, wasmtime.FuncType):
            raise BadArtifact(f"the module imports {name[:80]}, which nothing here provides")
    start = next((export.type for export in module.exports if export.name == "_start"), None)
    if not isinstance(start, wasmtime.FuncType) or start.params or start.results:
        raise BadArtifact("the module exports no function `_start` that takes and gives nothing; build a WASI command")


_MAKING = threading.Lock()


def doors() -> Doors:
    """Everything in `check_imports`, once a process: whose call it is stands with the thread."""
    with _MAKING:
        return _doors()


@cache
def _doors() -> Doors:
    made = Doors(host().engine, host().inside)
    add_preview1(made)
    made.add(OURS, "call", "iiii", _call)
    atexit.register(made.linker.close)  # at the very end the binding has lost what it would close it with
    return made


def linked_module(module: Any) -> Any:
    """The module with what it imports. Raises BadArtifact where it imports a function in another form."""
    import wasmtime

    try:
        return doors().linker.instantiate_pre(module)
    except wasmtime.WasmtimeError as error:
        raise BadArtifact(f"the module does not link: {' '.join(str(error).split())[:300]}") from error


def _call(guest: Guest, start: int, length: int, answer: int, capacity: int) -> int:
    """Read the guest's memory, ask, write back. Places outside its memory end the guest."""
    asked, place = part(guest.memory, start, length), part(guest.memory, answer, capacity)
    if length > abi.LONGEST_REQUEST:
        raw = abi.refusal("too_large", f"a request of {length} bytes; at most {abi.LONGEST_REQUEST}")
    else:
        raw = guest.run.ask(bytes(asked))
    if len(raw) <= capacity:
        place[: len(raw)] = raw
    return len(raw)
