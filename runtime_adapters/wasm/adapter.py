"""The WASM adapter: `prepare` checks and compiles, `start` is free, every `call` has a store of its own.

A call begins with empty memory and leaves nothing behind, so calls cannot see each other, let alone another tenant. Its
limits are those of the plan: wall clock by epochs, instructions by fuel, one memory of so many MiB, output by count.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

from runtime_adapters import abi
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
from runtime_adapters.wasm.compiling import LARGEST_MODULE, CodeCache
from runtime_adapters.wasm.engine import LARGEST_MEMORY_MIB, TICK_MS, host, module_from, version
from runtime_adapters.wasm.imports import Calls, OutOfBounds, check_imports, linker_for

if TYPE_CHECKING:
    from pathlib import Path

    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker

# Instructions that a core gets through in a second, roughly; a cap of 0.5 cores for 2 s is a billion of them.
FUEL_PER_CORE_SECOND = 1_000_000_000
LONGEST_OUTPUT = 4 << 20
LONGEST_LOG = 16 << 10
_PROBE = b"\0asm\1\0\0\0"


class WasmAdapter:
    """Runs core modules. `folder` keeps compiled code and belongs to this account alone."""

    name = "wasm"

    def __init__(self, folder: Path) -> None:
        self._cache = CodeCache(folder, version())

    def probe(self) -> Probe:
        """Compile and load an empty module."""
        try:
            module_from(self._cache.compiled(_PROBE))
        except (RuntimeRefusal, ImportError, OSError) as error:
            return Probe(False, "wasm", f"{type(error).__name__}: {error}", "")
        return Probe(True, "wasm", "a module was compiled and loaded", version())

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedModule:
        """Raises NotWhatWasDecided, BadArtifact, or RuntimeRefusal for caps that cannot be kept."""
        if plan.runtime_class != "wasm":
            raise RuntimeRefusal(f"the decision asks for the class {plan.runtime_class!r}; this adapter is wasm only")
        if not 0 < plan.caps.memory_mib <= LARGEST_MEMORY_MIB:
            raise RuntimeRefusal(f"memory of {plan.caps.memory_mib} MiB; this host gives 1 to {LARGEST_MEMORY_MIB}")
        if plan.caps.timeout_ms <= 0 or plan.caps.cpu <= 0:
            raise RuntimeRefusal("the caps timeoutMs and cpu have to be above zero")
        raw = _read(artifact)
        module = module_from(self._cache.compiled(raw))
        check_imports(module)
        return PreparedModule(plan, artifact, module)


class PreparedModule:
    """One checked module under one plan."""

    def __init__(self, plan: RuntimePlan, artifact: Artifact, module: Any) -> None:
        self._plan = plan
        self._artifact = artifact
        self._module = module

    def start(self, broker: Broker) -> WasmInstance:
        """An instance; memory is taken only while a call runs."""
        return WasmInstance(self._plan, self._module, broker)

    def attest(self) -> Attestation:
        """The module's digest as it was compared before compiling."""
        plan = self._plan
        return Attestation(
            "wasm", "wasm", version(), plan.decision_id, plan.app, plan.tenant,
            {"module": f"sha256:{self._artifact.sha256}"}, dict(plan.caps._asdict()), plan.egress_allow,
        )  # fmt: skip


class WasmInstance:
    """Calls of one app, one after the other."""

    def __init__(self, plan: RuntimePlan, module: Any, broker: Broker) -> None:
        self._plan = plan
        self._broker = broker
        self._calls = Calls()
        self._pre = linker_for(host().engine, self._calls).instantiate_pre(module)
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        self._is_stopped = False

    def call(self, request: bytes) -> Outcome:
        """One run of `_start` with `request` on standard input; what it writes to standard output is the answer."""
        if self._is_stopped:
            return Outcome("exit", b"", "", "the instance was stopped")
        run = _Run(self._plan, self._broker, request)
        self._calls.current = run
        try:
            with host().ticker:
                outcome = run.outcome(self._pre)
        finally:
            self._calls.current = None
            run.close()
        self._add(run)
        return outcome

    def observe(self) -> Usage:
        """Sums over all calls; the peak is of memory at the end of a call."""
        return self._usage

    def stop(self) -> None:
        """No further call is taken."""
        self._is_stopped = True

    def _add(self, run: _Run) -> None:
        used = self._usage
        self._usage = Usage(
            used.calls + 1, used.fuel + run.fuel_used, used.cpu_ms + run.cpu_ms, max(used.memory_peak_mib, run.memory_mib),
            used.egress_calls + run.egress_calls, used.egress_bytes + run.egress_bytes,
        )  # fmt: skip


class _Run:
    """One call: its store, its limits, what it said."""

    def __init__(self, plan: RuntimePlan, broker: Broker, request: bytes) -> None:
        self._plan = plan
        self._broker = broker
        self._deadline = time.monotonic() + plan.caps.timeout_ms / 1000
        self._stdin = os.memfd_create("request", os.MFD_CLOEXEC)
        os.write(self._stdin, request)
        os.lseek(self._stdin, 0, os.SEEK_SET)
        self._out, self._log = bytearray(), bytearray()
        self._is_output_too_large = False
        self.fuel_used = self.egress_calls = self.egress_bytes = 0
        self.cpu_ms = self.memory_mib = 0.0

    def outcome(self, prepared: Any) -> Outcome:
        """Run to its end, or to the first limit."""
        import wasmtime

        store, exports = self._store(), None
        fuel = store.get_fuel()
        started = time.thread_time()
        try:
            exports = prepared.instantiate(store).exports(store)
            exports["_start"](store)
            status, detail = "done", ""
        except wasmtime.ExitTrap as exit_:
            status, detail = ("done", "") if exit_.code == 0 else ("exit", f"the app ended with code {exit_.code}")
        except wasmtime.Trap as trap:
            status, detail = self._trapped(trap)
        except (wasmtime.WasmtimeError, OutOfBounds) as error:
            status, detail = self._failed(error)
        except Exception as error:  # noqa: BLE001  our own end of a host call broke: the guest ends, the host does not
            status, detail = "broker", type(error).__name__
        self.cpu_ms = (time.thread_time() - started) * 1000
        self.fuel_used = fuel - store.get_fuel()
        memory = exports.get("memory") if exports is not None else None
        self.memory_mib = memory.data_len(store) / (1 << 20) if isinstance(memory, wasmtime.Memory) else 0.0
        if self._is_output_too_large:
            status, detail = "output", f"more than {LONGEST_OUTPUT} bytes of answer"
        return Outcome(status, bytes(self._out) if status == "done" else b"", self._logged(), detail)

    def ask(self, raw: bytes) -> bytes:
        """One call out: to the broker with the time that is left; what is no request of ours does not get there."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return abi.refusal("timeout", "no time is left")
        asked = abi.checked(raw)
        if asked is None:
            return abi.refusal("bad_request", "not one JSON object with a known op")
        if asked["op"] == "log":
            self._write_log(str(asked.get("text", "")).encode("utf-8", "replace") + b"\n")
            return b'{"ok":null}'
        self.egress_calls += 1
        self.egress_bytes += len(raw)
        try:
            answer = self._broker(raw, left)
        except Exception as error:  # noqa: BLE001  whatever went wrong out there, the guest hears a no and nothing else
            return abi.refusal("broker_failed", type(error).__name__)
        if len(answer) > abi.LONGEST_ANSWER:
            return abi.refusal("too_large", "the answer is larger than an app may receive")
        return answer

    def close(self) -> None:
        """Give back what the call held."""
        os.close(self._stdin)

    def _store(self) -> Any:
        import wasmtime

        caps = self._plan.caps
        store = wasmtime.Store(host().engine)
        store.set_limits(memory_size=caps.memory_mib << 20, table_elements=10_000, instances=1, tables=1, memories=1)
        store.set_fuel(max(1, int(caps.cpu * caps.timeout_ms / 1000 * FUEL_PER_CORE_SECOND)))
        store.set_epoch_deadline(max(1, caps.timeout_ms // TICK_MS))
        wasi = wasmtime.WasiConfig()
        wasi.stdin_file = f"/proc/self/fd/{self._stdin}"
        wasi.stdout_custom = self._write_out
        wasi.stderr_custom = self._write_log
        store.set_wasi(wasi)
        return store

    def _write_out(self, data: bytes) -> int | None:
        if len(self._out) + len(data) > LONGEST_OUTPUT:
            self._is_output_too_large = True
            return -1
        self._out += data
        return None

    def _write_log(self, data: bytes) -> None:
        self._log += data[: max(0, LONGEST_LOG - len(self._log))]

    def _logged(self) -> str:
        return self._log.decode("utf-8", "replace")

    def _trapped(self, trap: Any) -> tuple[str, str]:
        import wasmtime

        if trap.trap_code == wasmtime.TrapCode.INTERRUPT:
            return "timeout", f"longer than {self._plan.caps.timeout_ms} ms"
        if trap.trap_code == wasmtime.TrapCode.OUT_OF_FUEL:
            return "fuel", "more instructions than its share of processor time"
        return "trap", str(trap.trap_code.name if trap.trap_code is not None else "trap").lower()

    def _failed(self, error: Exception) -> tuple[str, str]:
        text = " ".join(str(error).split())
        if "memory" in text and ("limit" in text or "exceed" in text):
            return "memory", f"more than {self._plan.caps.memory_mib} MiB"
        return "trap", text[:200]


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
