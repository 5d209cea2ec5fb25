"""Spans and metrics of the line's stages. Without an exporter a stage costs one clock reading at each end.

Metrics are Prometheus text over all workers: each saves its counts to a file, and whoever is asked adds them up. Traces are
OpenTelemetry and leave only where GOVERNANCE_OTLP_ENDPOINT names a collector.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

# Upper bounds in seconds.
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


_NOT_TRACED = contextlib.nullcontext()


class TraceParent(Protocol):
    """Where a request comes from (W3C Trace Context): hexadecimal ids, empty parent where the trace begins here."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def parent_id(self) -> str:
        """16, or none."""


class Telemetry:
    """Counts for one worker process. `folder`: where all workers save theirs; None keeps them here."""

    def __init__(self, tracer: Tracer | None = None, *, folder: Path | None = None, name: str = "") -> None:
        self._tracer = tracer
        self._folder = folder
        self._name = name
        self._decisions: dict[tuple[str, str, str], float] = {}
        self._stages: dict[str, list[float]] = {}

    def count(self, kind: str, effect: str, error: str) -> None:
        """One decision that was answered."""
        key = kind, effect, error
        self._decisions[key] = self._decisions.get(key, 0) + 1

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time one stage, and trace it where there is a tracer."""
        return _Timed(self, name, self._tracer)

    def request(self, parent: TraceParent) -> AbstractContextManager[object]:
        """The span that the stages of one request belong to."""
        if self._tracer is None:
            return _NOT_TRACED
        return self._tracer.start_as_current_span("governance.request", context=_context_of(parent))

    def observe(self, name: str, seconds: float) -> None:
        """Add one measurement: counts per bound, then sum, then number."""
        row = self._stages.setdefault(name, [0.0] * (len(_BOUNDS) + 2))
        for index, bound in enumerate(_BOUNDS):
            row[index] += seconds <= bound
        row[-2] += seconds
        row[-1] += 1

    def save(self) -> None:
        """Put the counts where the other workers find them. Best effort: a full disk must not stop decisions being refused."""
        if self._folder is None:
            return
        rows = [[*key, count] for key, count in self._decisions.items()]
        temporary = self._folder / f".{self._name}"
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            temporary.write_text(json.dumps({"decisions": rows, "stages": self._stages}))
            temporary.replace(self._folder / f"{self._name}.json")

    def text(self) -> str:
        """Prometheus exposition format, version 0.0.4, summed over the workers, those that have ended included."""
        self.save()
        decisions, stages = dict(self._decisions), {name: list(row) for name, row in self._stages.items()}
        for other in self._others():
            for *key, count in other["decisions"]:
                place = key[0], key[1], key[2]
                decisions[place] = decisions.get(place, 0) + count
            for name, row in other["stages"].items():
                stages[name] = [a + b for a, b in zip(stages.get(name, [0.0] * len(row)), row, strict=True)]
        return exposition(decisions, stages)

    def _others(self) -> Iterable[dict[str, Any]]:
        for path in sorted(self._folder.glob("*.json")) if self._folder is not None else ():
            if path.stem != self._name:
                with contextlib.suppress(OSError, ValueError):
                    yield json.loads(path.read_text())


def exposition(decisions: dict[tuple[str, str, str], float], stages: dict[str, list[float]]) -> str:
    """Prometheus text for counts by kind, effect and error, and for stages as `observe` keeps them."""
    lines = ["# TYPE governance_decisions_total counter"]
    for (kind, effect, error), count in sorted(decisions.items()):
        lines.append(f'governance_decisions_total{{kind="{kind}",effect="{effect}",error="{error}"}} {count:g}')
    lines.append("# TYPE governance_stage_seconds histogram")
    for name, row in sorted(stages.items()):
        lines += [
            f'governance_stage_seconds_bucket{{stage="{name}",le="{bound:g}"}} {row[index]:.0f}'
            for index, bound in enumerate(_BOUNDS)
        ]
        lines.append(f'governance_stage_seconds_bucket{{stage="{name}",le="+Inf"}} {row[-1]:.0f}')
        lines.append(f'governance_stage_seconds_sum{{stage="{name}"}} {row[-2]:g}')
        lines.append(f'governance_stage_seconds_count{{stage="{name}"}} {row[-1]:.0f}')
    return "\n".join(lines) + "\n"


def clear(folder: Path) -> None:
    """Forget what the workers of an earlier service counted."""
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)


def _context_of(parent: TraceParent) -> Context | None:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if not parent.parent_id:
        return None
    remote = SpanContext(int(parent.trace_id, 16), int(parent.parent_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    return set_span_in_context(NonRecordingSpan(remote))


class _Timed:
    __slots__ = ("_name", "_span", "_start", "_telemetry")

    def __init__(self, telemetry: Telemetry, name: str, tracer: Tracer | None) -> None:
        self._telemetry, self._name = telemetry, name
        self._span = tracer.start_as_current_span(f"governance.{name}") if tracer is not None else None

    def __enter__(self) -> None:
        if self._span is not None:
            self._span.__enter__()
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._telemetry.observe(self._name, time.perf_counter() - self._start)
        if self._span is not None:
            self._span.__exit__(*error)  # type: ignore[arg-type]


def tracer_of(endpoint: str) -> Tracer | None:
    """A tracer that exports to an OTLP/HTTP endpoint; None without one, and with one where the exporter is missing."""
    if not endpoint:
        return None
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "governance"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    return provider.get_tracer("governance")
