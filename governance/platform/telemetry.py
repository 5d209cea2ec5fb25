"""Spans and metrics of the line's stages. Without an exporter a stage costs one clock reading at each end.

Metrics are Prometheus text; traces are OpenTelemetry and leave only where GOVERNANCE_OTLP_ENDPOINT names a collector.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Tracer

# Upper bounds in seconds.
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Telemetry:
    """Counts for one worker process."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self.decisions: dict[tuple[str, str, str], int] = {}
        self._stages: dict[str, list[float]] = {}

    def count(self, kind: str, effect: str, error: str) -> None:
        """One decision that was answered."""
        key = kind, effect, error
        self.decisions[key] = self.decisions.get(key, 0) + 1

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time one stage, and trace it where there is a tracer."""
        return _Timed(self, name, self._tracer)

    def observe(self, name: str, seconds: float) -> None:
        """Add one measurement: counts per bound, then sum, then number."""
        row = self._stages.setdefault(name, [0.0] * (len(_BOUNDS) + 2))
        for index, bound in enumerate(_BOUNDS):
            row[index] += seconds <= bound
        row[-2] += seconds
        row[-1] += 1

    def text(self) -> str:
        """Prometheus exposition format, version 0.0.4."""
        lines = ["# TYPE governance_decisions_total counter"]
        for (kind, effect, error), count in sorted(self.decisions.items()):
            lines.append(f'governance_decisions_total{{kind="{kind}",effect="{effect}",error="{error}"}} {count}')
        lines.append("# TYPE governance_stage_seconds histogram")
        for name, row in sorted(self._stages.items()):
            lines += [
                f'governance_stage_seconds_bucket{{stage="{name}",le="{bound:g}"}} {row[index]:g}'
                for index, bound in enumerate(_BOUNDS)
            ]
            lines.append(f'governance_stage_seconds_bucket{{stage="{name}",le="+Inf"}} {row[-1]:g}')
            lines.append(f'governance_stage_seconds_sum{{stage="{name}"}} {row[-2]:g}')
            lines.append(f'governance_stage_seconds_count{{stage="{name}"}} {row[-1]:g}')
        return "\n".join(lines) + "\n"


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
