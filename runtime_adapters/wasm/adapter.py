"""The WASM adapter: `prepare` checks and compiles, `start` is free, every `call` has a store of its own.

A call begins with empty memory and leaves nothing behind, so calls cannot see each other, let alone another tenant. Its
limits are those of the plan: wall clock by epochs, instructions by fuel, one memory of so many MiB, output by count.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

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
from runtime_adapters.wasm.component import ComponentRun, check_component, linked
from runtime_adapters.wasm.engine import LARGEST_MEMORY_MIB, component_from, host, module_from, put_request, version
from runtime_adapters.wasm.imports import Calls, check_imports, linker_for
from runtime_adapters.wasm.run import LONGEST_OUTPUT, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker

_PROBE = b"\0asm\1\0\0\0"


class WasmAdapter:
    """Runs core modules and components. `folder` keeps compiled code and belongs to this account alone."""

    name = "wasm"

    def __init__(self, folder: Path) -> None:
        self._cache = CodeCache(folder, version())

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
        raw = _read(artifact)
        code = self._cache.compiled(raw)
        if is_component(raw):
            component = component_from(code)
            check_component(component)
            return PreparedModule(plan, artifact, component, is_component=True)
        module = module_from(code)
        check_imports(module)
        return PreparedModule(plan, artifact, module, is_component=False)


class PreparedModule:
    """One checked module or component under one plan."""

    def __init__(self, plan: RuntimePlan, artifact: Artifact, code: Any, *, is_component: bool) -> None:
        self._plan = plan
        self._artifact = artifact
        self._code = code
        self._is_component = is_component

    def start(self, broker: Broker) -> WasmInstance:
        """An instance; memory is taken only while a call runs."""
        calls = Calls()
        if self._is_component:
            return WasmInstance(self._plan, broker, calls, linked(self._code, calls), ComponentRun)
        prepared = linker_for(host().engine, calls).instantiate_pre(self._code)
        return WasmInstance(self._plan, broker, calls, prepared, _ModuleRun)

    def attest(self) -> Attestation:
        """The module's digest as it was compared before compiling."""
        plan = self._plan
        return Attestation(
            "wasm", "wasm", version(), plan.decision_id, plan.app, plan.tenant,
            {"module": f"sha256:{self._artifact.sha256}"}, dict(plan.caps._asdict()), plan.egress_allow, "fuel",
        )  # fmt: skip


class WasmInstance:
    """Calls of one app, one after the other."""

    def __init__(
        self,
        plan: RuntimePlan,
        broker: Broker,
        calls: Calls,
        prepared: Any,
        run: Callable[[RuntimePlan, Broker, bytes], Run],
    ) -> None:
        self._plan = plan
        self._broker = broker
        self._calls = calls
        self._prepared = prepared
        self._run = run
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        self._is_stopped = False

    def call(self, request: bytes) -> Outcome:
        """One run of a module's `_start` with `request` on standard input, or of a component's `handle`."""
        if self._is_stopped:
            return Outcome("exit", b"", "", "the instance was stopped")
        run = self._run(self._plan, self._broker, request)
        self._calls.current = run
        try:
            with host().ticker:
                outcome = run.outcome(self._prepared)
        finally:
            self._calls.current = None
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
        )  # fmt: skip


class _ModuleRun(Run):
    """One run of `_start`, with the request on standard input and the answer on standard output."""

    def __init__(self, plan: RuntimePlan, broker: Broker, request: bytes) -> None:
        super().__init__(plan, broker)
        self._request = request
        self._out = bytearray()

    def enter(self, store: Any, prepared: Any) -> bytes:
        """An exit with code 0 is an end like any other."""
        import wasmtime

        wasi = wasmtime.WasiConfig()
        put_request(wasi, self._request)
        wasi.stdout_custom = self._write_out
        wasi.stderr_custom = self.write_log
        store.set_wasi(wasi)
        exports = prepared.instantiate(store).exports(store)
        try:
            exports["_start"](store)
        except wasmtime.ExitTrap as exit_:
            if exit_.code != 0:
                raise
        finally:
            memory = exports.get("memory")
            self.memory_mib = memory.data_len(store) / (1 << 20) if isinstance(memory, wasmtime.Memory) else 0.0
        return bytes(self._out)

    def _write_out(self, data: bytes) -> int | None:
        if len(self._out) + len(data) > LONGEST_OUTPUT:
            self._is_output_too_large = True
            return -1
        self._out += data
        return None


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
