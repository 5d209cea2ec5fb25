"""One call of one app: its store and limits, what it says to its log, what it asks for. Modules and components share it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_adapters import abi
from runtime_adapters.guest_log import LONGEST_LOG, GuestLog
from runtime_adapters.port import Outcome
from runtime_adapters.wasm.doors import ASKED_FUEL, CALL_FUEL, COPIED_FUEL, RANDOM_FUEL, Stopped
from runtime_adapters.wasm.engine import TICK_MS, host
from runtime_adapters.wasm.senses import LONGEST_RANDOM, Senses

if TYPE_CHECKING:
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker, Mask

# Instructions that a core gets through in a second, roughly; a cap of 0.5 cores for 2 s is a billion of them.
FUEL_PER_CORE_SECOND = 1_000_000_000
LONGEST_OUTPUT = 4 << 20
# Looking at the fuel costs as much as a host call.
_SETTLED_AT = 1_000_000
# Of the time that is left; the rest is for the guest to say what it heard.
_OF_WHAT_IS_LEFT = 0.9


class Parts(NamedTuple):
    """How many pieces one call may be made of; memory is always one, since the cap is the sum over memories."""

    instances: int
    tables: int


class Run:
    """What a call holds, and what stops it. `enter` differs between modules and components."""

    parts = Parts(1, 1)

    def __init__(self, plan: RuntimePlan, broker: Broker, mask: Mask) -> None:
        self._plan = plan
        self._broker = broker
        self._deadline = time.monotonic() + plan.caps.timeout_ms / 1000
        self._log = GuestLog(mask)
        self._output = bytearray()
        self._is_output_too_large = False
        self._entered: Any = None
        self.senses = Senses(plan)
        self.exit_code: int | None = None
        self.is_out_of_time = False
        self.stopped_by: BaseException | None = None
        """What a host function ended the guest with."""
        self.fuel_used = self.egress_calls = self.egress_bytes = 0
        self.owed = 0
        """Fuel of host calls that the engine has not taken off yet."""
        self.cpu_ms = self.memory_mib = self.wall_s = 0.0

    def enter(self, store: Any, code: Any) -> bytes:
        """Instantiate, call, and say what was answered."""
        raise NotImplementedError

    def outcome(self, code: Any) -> Outcome:
        """Run to its end, or to the first limit."""
        import wasmtime

        store, output = self._store(), b""
        fuel = store.get_fuel()
        inside, self._entered = host().inside, store
        outer, inside.run = inside.run, self
        begun, started = time.monotonic(), time.thread_time()
        try:
            output = self.enter(store, code)
            status, detail = "done", ""
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            status, detail = self._ended(error)
        except UnicodeDecodeError:
            status, detail = "trap", "the request is not UTF-8, and a component takes text"
        except Exception as error:  # noqa: BLE001  our own end of a host call broke: the guest ends, the host does not
            status, detail = "broker", type(error).__name__
        finally:
            inside.run, self._entered = outer, None
        self.wall_s = time.monotonic() - begun
        self.cpu_ms = (time.thread_time() - started) * 1000
        self.fuel_used = min(fuel, fuel - store.get_fuel() + self.owed)
        if isinstance(self.stopped_by, (KeyboardInterrupt, SystemExit)):
            raise self.stopped_by
        if self._is_output_too_large or len(output) > LONGEST_OUTPUT:
            status, detail = "output", f"more than {LONGEST_OUTPUT} bytes of answer"
        return Outcome(status, output if status == "done" else b"", self._log.taken(), detail)

    def count_call(self) -> None:
        """A host call is over: now and then take off what is owed."""
        self.owed += CALL_FUEL
        if self.owed >= _SETTLED_AT:
            left = self._entered.get_fuel()
            self._entered.set_fuel(max(0, left - self.owed))
            self.owed = max(0, self.owed - left)

    def ask(self, raw: bytes) -> bytes:
        """One call out: to the broker with most of the time that is left; what is no request of ours does not get there."""
        self.owed += ASKED_FUEL * len(raw)
        left = self._deadline - time.monotonic()
        if left <= 0:
            return abi.refusal("timeout", "no time is left")
        asked = abi.checked(raw)
        if asked is None:
            return abi.refusal("bad_request", abi.NOT_READ)
        if asked["op"] == "log":
            self.write_log(abi.logged(asked))
            return b'{"ok":null}'
        self.egress_calls += 1
        self.egress_bytes += len(raw)
        try:
            answer = self._broker(raw, left * _OF_WHAT_IS_LEFT)
        except Exception as error:  # noqa: BLE001  whatever went wrong out there, the guest hears a no and nothing else
            return abi.refusal("broker_failed", type(error).__name__)
        if len(answer) > abi.LONGEST_ANSWER:
            return abi.refusal("too_large", "the answer is larger than an app may receive")
        return answer

    def rest_until(self, ready_ns: int) -> None:
        """Wait for a moment of `time.monotonic_ns`. Raises Stopped where the call's time ends before it."""
        is_too_late = ready_ns / 1e9 >= self._deadline
        time.sleep(max(0.0, min(ready_ns / 1e9, self._deadline) - time.monotonic()))
        if is_too_late:
            self.is_out_of_time = True
            raise Stopped("its time is over")

    def write_log(self, data: bytes | memoryview) -> None:
        """Keep what there is room for."""
        self.owed += COPIED_FUEL * min(len(data), LONGEST_LOG)
        self._log.write(data)

    def write_output(self, data: bytes | memoryview) -> None:
        """A piece of the answer. Raises Stopped at its cap."""
        if len(self._output) + len(data) > LONGEST_OUTPUT:
            self._is_output_too_large = True
            raise Stopped("the answer is too long")
        self.owed += COPIED_FUEL * len(data)
        self._output += data

    def random(self, length: int) -> bytes:
        """As `Senses` has it."""
        self.owed += RANDOM_FUEL * min(length, LONGEST_RANDOM)
        return self.senses.random(length)

    def _store(self) -> Any:
        import wasmtime

        caps = self._plan.caps
        store = wasmtime.Store(host().engine)
        store.set_limits(
            memory_size=caps.memory_mib << 20, table_elements=10_000, memories=1,
            instances=self.parts.instances, tables=self.parts.tables,
        )  # fmt: skip
        store.set_fuel(max(1, int(caps.cpu * caps.timeout_ms / 1000 * FUEL_PER_CORE_SECOND)))
        store.set_epoch_deadline(max(1, caps.timeout_ms // TICK_MS))
        return store

    def _ended(self, error: Exception) -> tuple[str, str]:
        import wasmtime

        if self.exit_code is not None:
            return "exit", f"the app ended with code {self.exit_code}"
        if self.is_out_of_time:
            return "timeout", f"longer than {self._plan.caps.timeout_ms} ms"
        if self.stopped_by is not None:
            is_ours = isinstance(self.stopped_by, Stopped)
            return ("trap", str(self.stopped_by)) if is_ours else ("broker", type(self.stopped_by).__name__)
        return self._trapped(error) if isinstance(error, wasmtime.Trap) else self._failed(error)

    def _trapped(self, trap: Any) -> tuple[str, str]:
        import wasmtime

        if trap.trap_code == wasmtime.TrapCode.INTERRUPT:
            return "timeout", f"longer than {self._plan.caps.timeout_ms} ms"
        if trap.trap_code == wasmtime.TrapCode.OUT_OF_FUEL:
            return "fuel", "more instructions than its share of processor time"
        return "trap", str(trap.trap_code.name if trap.trap_code is not None else "trap").lower()

    def _failed(self, error: Exception) -> tuple[str, str]:
        # Components come here with their traps as well: the binding gives them words and no code.
        text = " ".join(str(error).split())
        if "wasm trap: interrupt" in text:
            return "timeout", f"longer than {self._plan.caps.timeout_ms} ms"
        if "all fuel consumed" in text:
            return "fuel", "more instructions than its share of processor time"
        if "memory" in text and ("limit" in text or "exceed" in text):
            return "memory", f"more than {self._plan.caps.memory_mib} MiB"
        return "trap", text.rpartition("Caused by: ")[2][:200]
