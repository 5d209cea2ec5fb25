"""One wasmtime engine a process: what the language may do, how instances get memory, and the clock that stops them.

Everything that lets a guest reach another guest, stall the host or hold memory beside its memory is off. Deadlines are epochs:
a thread of ours moves the engine's epoch every few milliseconds, and a store that is past its own is interrupted. Fuel is
counted as well, because it is the same on every machine and can be billed.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from runtime_adapters.port import BadArtifact
from runtime_adapters.wasm.doors import Inside

if TYPE_CHECKING:
    import wasmtime

TICK_MS = 5
LARGEST_MEMORY_MIB = 512
MOST_INSTANCES = 1000
MOST_PARTS = 64
"""Core instances, and tables, that one component is made of: componentize-py links 38."""
_TABLE_ELEMENTS = 20_000
_ON_DEMAND, _POOLING = 0, 1


# What no guest of ours is made of is off, whatever the next release of the engine turns on. Garbage collection, and exceptions
# with it: their heap is memory beside the memory, of which a cap on memory sees nothing. Concurrency: with it this release
# ends a guest that lends two handles in one call ("deferred host scope has no call context").
_OFF = (
    "wasm_threads", "shared_memory", "wasm_memory64", "wasm_multi_memory", "wasm_gc", "wasm_exceptions",
    "wasm_function_references", "gc_support", "wasm_stack_switching", "wasm_wide_arithmetic", "wasm_custom_page_sizes",
    "wasm_compact_imports", "wasm_component_model_async", "wasm_component_model_more_async_builtins",
    "wasm_component_model_async_stackful", "wasm_component_model_map", "concurrency_support",
)  # fmt: skip
# A module's answer must not depend on the processor it ran on.
_ON = ("consume_fuel", "epoch_interruption", "cranelift_nan_canonicalization", "wasm_relaxed_simd_deterministic")
_STACK = 512 << 10


def configuration(*, is_pooled: bool, instances: int = MOST_INSTANCES) -> wasmtime.Config:
    """The settings under which modules are compiled and run; compiling and loading must agree on them.

    `instances`: for so many there is room in the pool.
    """
    import wasmtime  # 30 MB of native code; only who runs modules loads it
    from wasmtime import _bindings as ffi  # not all of it is in the binding's public half

    config = wasmtime.Config()
    for name in (*_OFF, *_ON):
        getattr(ffi, f"wasmtime_config_{name}_set")(config.ptr(), name in _ON)
    config.max_wasm_stack = _STACK
    if is_pooled:
        _pool(config, instances)
    return config


def compiled_for() -> str:
    """What machine code depends on: the engine's release and our settings of it."""
    return f"{version()} -{','.join(_OFF)} +{','.join(_ON)} {_STACK}"


def _pool(config: wasmtime.Config, instances: int) -> None:
    """Reserve memory for all instances once: a start then costs no system call. Not in the binding's public half."""
    from wasmtime import _bindings as ffi

    pool = ffi.wasmtime_pooling_allocation_config_new()
    try:
        ffi.wasmtime_pooling_allocation_config_total_core_instances_set(pool, instances)
        ffi.wasmtime_pooling_allocation_config_total_memories_set(pool, instances)
        ffi.wasmtime_pooling_allocation_config_total_tables_set(pool, instances)
        ffi.wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, 1)
        ffi.wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, 1)
        ffi.wasmtime_pooling_allocation_config_total_component_instances_set(pool, instances)
        ffi.wasmtime_pooling_allocation_config_max_core_instances_per_component_set(pool, MOST_PARTS)
        ffi.wasmtime_pooling_allocation_config_max_tables_per_component_set(pool, MOST_PARTS)
        ffi.wasmtime_pooling_allocation_config_max_memories_per_component_set(pool, 1)
        ffi.wasmtime_pooling_allocation_config_table_elements_set(pool, _TABLE_ELEMENTS)
        ffi.wasmtime_pooling_allocation_config_max_memory_size_set(pool, LARGEST_MEMORY_MIB << 20)
        ffi.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    finally:
        ffi.wasmtime_pooling_allocation_config_delete(pool)


class Ticker:
    """Moves an engine's epoch with the clock for as long as somebody is inside it."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._inside = 0
        self._moved_ns = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._tick, name="wasm-epoch", daemon=True).start()

    def __enter__(self) -> None:
        """Whoever comes in sets a deadline from an epoch that is of now, not from one that still has to catch up."""
        with self._changed:
            if self._inside:
                self._catch_up()
            else:
                self._moved_ns = time.monotonic_ns()
            self._inside += 1
            self._changed.notify()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1

    def _tick(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._inside > 0)
                self._catch_up()
            threading.Event().wait(TICK_MS / 1000)

    def _catch_up(self) -> None:
        """One step for every tick that is over: on a busy host this thread comes late, and a deadline must not."""
        ticks = (time.monotonic_ns() - self._moved_ns) // (TICK_MS * 1_000_000)
        self._moved_ns += ticks * TICK_MS * 1_000_000
        for _ in range(ticks):
            self._engine.increment_epoch()


class Host:
    """The engine of this process, its ticker, and who is inside it."""

    def __init__(self) -> None:
        import wasmtime

        self.engine = wasmtime.Engine(configuration(is_pooled=True))
        self.ticker = Ticker(self.engine)
        self.inside = Inside()


_MAKING = threading.Lock()


def host() -> Host:
    """Made on first use; an engine is safe to share between threads, a store is not."""
    with _MAKING:  # two at once would make two, and nothing of one runs in the other
        return _host()


@cache
def _host() -> Host:
    return Host()


def version() -> str:
    """Name and version of the engine, as caches and attestations have it."""
    from importlib.metadata import version as installed

    return f"wasmtime {installed('wasmtime')}"


def module_from(serialised: bytes) -> Any:
    """A compiled module from bytes that we compiled ourselves: the engine would run others without a look.

    Raises BadArtifact for one that asks for more memories or tables than an instance gets.
    """
    import wasmtime

    try:
        return wasmtime.Module.deserialize(host().engine, serialised)
    except wasmtime.WasmtimeError as error:
        raise BadArtifact(f"the module does not load: {' '.join(str(error).split())[:300]}") from error


def component_from(serialised: bytes) -> Any:
    """The same for a component."""
    import wasmtime
    import wasmtime.component

    try:
        return wasmtime.component.Component.deserialize(host().engine, serialised)
    except wasmtime.WasmtimeError as error:
        raise BadArtifact(f"the component does not load: {' '.join(str(error).split())[:300]}") from error
