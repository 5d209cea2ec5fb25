"""The WASM adapter: `prepare` checks and compiles, `start` is free, every `call` has a store of its own.

A call begins with empty memory and leaves nothing behind, so calls cannot see each other, let alone another tenant. Its
limits are those of the plan: wall clock by epochs, instructions by fuel, one memory of so many MiB, output by count.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from runtime_adapters.guest_log import withheld
from runtime_adapters.port import (
    Artifact,
    Attestation,
    BadArtifact,
    NotWhatWasDecided,
    Outcome,
    Probe,
    RuntimeRefusal,
    Usage,
)
from runtime_adapters.wasm.compiling import LARGEST_MODULE, CodeCache, is_component
from runtime_adapters.wasm.component import ComponentRun, check_component, linked_component
from runtime_adapters.wasm.engine import (
    LARGEST_MEMORY_MIB,
    compiled_for,
    component_from,
    host,
    module_from,
    version,
)
from runtime_adapters.wasm.imports import check_imports, linked_module
from runtime_adapters.wasm.run import Run
from runtime_adapters.wasm.senses import check_senses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker, Mask

    _Run = Callable[[RuntimePlan, Broker, bytes], Run]

# A component in Python is 40 MB of code; loading it costs a fifth of a second, and a start is asked for with each call.
_MOST_LOADED = 8
_PROBE = b"\0asm\1\0\0\0"


class WasmAdapter:
    """Runs core modules and components. `folder` keeps compiled code and belongs to this account alone.

    `mask` says what must not be seen of what apps log; without one nothing of it is.
    """

    name = "wasm"

    def __init__(self, folder: Path, mask: Mask = withheld) -> None:
        self._cache = CodeCache(folder, compiled_for())
        self._mask = mask
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, Any] = OrderedDict()

    def probe(self) -> Probe:
        """Compile and load an empty module."""
        try:
            module_from(self._cache.compiled(_PROBE))
        except (RuntimeRefusal, ImportError, OSError) as error:
            return Probe(False, "wasm", f"{type(error).__name__}: {error}", "")
        return Probe(True, "wasm", "a module was compiled and loaded; cpu is held by fuel", version())

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedModule:
        """Raises NotWhatWasDecided, BadArtifact, or RuntimeRefusal for caps that cannot be kept."""
        if plan.runtime_class != "wasm":
            raise RuntimeRefusal(f"the decision asks for the class {plan.runtime_class!r}; this adapter is wasm only")
        if not 0 < plan.caps.memory_mib <= LARGEST_MEMORY_MIB:
            raise RuntimeRefusal(f"memory of {plan.caps.memory_mib} MiB; this host gives 1 to {LARGEST_MEMORY_MIB}")
        if plan.caps.timeout_ms <= 0 or plan.caps.cpu <= 0:
            raise RuntimeRefusal("the caps timeoutMs and cpu have to be above zero")
        check_senses(plan)
        raw = _read(artifact)
        code = self._linked(artifact.sha256.removeprefix("sha256:"), raw)
        return PreparedModule(plan, artifact, code, self._runs(ComponentRun if is_component(raw) else _ModuleRun))

    def _linked(self, digest: str, raw: bytes) -> Any:
        """The code of these bytes, whose digest was compared; the latest few stay loaded."""
        with self._lock:
            code = self._loaded.pop(digest, None)
        code = self._load(raw) if code is None else code
        with self._lock:
            self._loaded[digest] = code
            while len(self._loaded) > _MOST_LOADED:
                self._loaded.popitem(last=False)
        return code

    def _load(self, raw: bytes) -> Any:
        """Checked, and with what it imports. Raises BadArtifact."""
        code = self._cache.compiled(raw)
        if is_component(raw):
            component = component_from(code)
            check_component(component)
            return linked_component(component)
        module = module_from(code)
        check_imports(module)
        return linked_module(module)

    def _runs(self, run: Callable[[RuntimePlan, Broker, Mask, bytes], Run]) -> _Run:
        return lambda plan, broker, request: run(plan, broker, self._mask, request)


class PreparedModule:
    """One checked module or component under one plan."""

    def __init__(self, plan: RuntimePlan, artifact: Artifact, code: Any, run: _Run) -> None:
        self._plan = plan
        self._artifact = artifact
        self._code = code
        self._run = run

    def start(self, broker: Broker) -> WasmInstance:
        """An instance; memory is taken only while a call runs."""
        return WasmInstance(self._plan, broker, self._code, self._run)

    def attest(self) -> Attestation:
        """The module's digest as it was compared before compiling."""
        plan = self._plan
        return Attestation(
            "wasm", "wasm", version(), plan.decision_id, plan.app, plan.tenant,
            {"module": f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"}, dict(plan.caps._asdict()),
            plan.egress_allow, "fuel", plan.clock, plan.randomness,
        )  # fmt: skip


class WasmInstance:
    """Calls of one app, one after the other."""

    def __init__(self, plan: RuntimePlan, broker: Broker, code: Any, run: _Run) -> None:
        self._plan = plan
        self._broker = broker
        self._code = code
        self._run = run
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        self._is_stopped = False

    def call(self, request: bytes) -> Outcome:
        """One run of a module's `_start` with `request` on standard input, or of a component's `handle`."""
        if self._is_stopped:
            return Outcome("exit", b"", "", "the instance was stopped")
        run = self._run(self._plan, self._broker, request)
        with host().ticker:
            outcome = run.outcome(self._code)
        self._add(run)
        return outcome

    def observe(self) -> Usage:
        """Sums over all calls; the peak is of memory at the end of a call."""
        return self._usage

    def stop(self) -> None:
        """No further call is taken."""
        self._is_stopped = True

    def _add(self, run: Run) -> None:
        used = self._usage
        self._usage = Usage(
            used.calls + 1, used.fuel + run.fuel_used, used.cpu_ms + run.cpu_ms, max(used.memory_peak_mib, run.memory_mib),
            used.egress_calls + run.egress_calls, used.egress_bytes + run.egress_bytes,
            used.memory_mib_s + run.memory_mib * run.wall_s,
        )  # fmt: skip


class _ModuleRun(Run):
    """One run of `_start`, with the request on standard input and the answer on standard output."""

    def __init__(self, plan: RuntimePlan, broker: Broker, mask: Mask, request: bytes) -> None:
        super().__init__(plan, broker, mask)
        self._request = memoryview(request)

    def enter(self, store: Any, code: Any) -> bytes:
        """An exit with code 0 is an end like any other."""
        import wasmtime

        instance = code.instantiate(store)
        try:
            _exported(store, instance, b"_start")(store)
        except (wasmtime.Trap, wasmtime.WasmtimeError):
            if self.exit_code != 0:
                raise
        finally:
            memory = _exported(store, instance, b"memory")
            self.memory_mib = memory.data_len(store) / (1 << 20) if isinstance(memory, wasmtime.Memory) else 0.0
        return bytes(self._output)

    def take_input(self, most: int) -> memoryview:
        """The next piece of the request; nothing at its end."""
        taken, self._request = self._request[:most], self._request[most:]
        return taken


def _exported(store: Any, instance: Any, name: bytes) -> Any:
    """One export, None where there is none of that name: the binding's own look at them makes an object of each."""
    import ctypes

    from wasmtime import _ffi as ffi
    from wasmtime._extern import wrap_extern

    found = ffi.wasmtime_extern_t()
    place = ctypes.byref(instance._instance)  # noqa: SLF001
    if not ffi.wasmtime_instance_export_get(store._context(), place, name, len(name), ctypes.byref(found)):  # noqa: SLF001
        return None
    return wrap_extern(found)


def _read(artifact: Artifact) -> bytes:
    """The artifact's bytes, compared with its digest: what is compared is what is used."""
    try:
        if os.path.getsize(artifact.path) > LARGEST_MODULE:
            raise BadArtifact(f"{artifact.path}: larger than {LARGEST_MODULE} bytes")
        with open(artifact.path, "rb") as file:
            raw = file.read(LARGEST_MODULE + 1)
    except OSError as error:
        raise BadArtifact(f"{artifact.path}: {error.strerror}") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != artifact.sha256.removeprefix("sha256:"):
        raise NotWhatWasDecided(f"{artifact.path} is sha256:{found}, the manifest says sha256:{artifact.sha256}")
    return raw
