"""CPU of one record: `python tests/benchmarks/audit_cost.py [RECORDS]`; the line's own entry, submitted 1,000 at a time."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from audit.log import AuditLog
from audit.record import Canonical, Entry

_INPUT = Canonical('{"kind":"connector_call","resource":"' + "x" * 1500 + '"}')
_FACTS = Canonical('{"pii":[],"secrets":[],"connectors":[]}')


def entry(number: int) -> Entry:
    """One decision's record, of the size that the line writes."""
    public = {
        "decision_id": f"0190f0c0-0000-7000-8000-{number:012d}", "effect": "allow", "error": None,
        "actor": f"key:{number % 50}",
        "entry_point": "http.decisions", "trace_id": f"{number * 2654435761 % 2**64:032x}", "action": "call",
        "app": f"app-{number % 200}", "tenant": "marketing", "rules": [], "waivers": [], "revision": "sha256:" + "a" * 64,
        "executor": "rvm", "input_digest": "sha256:" + "b" * 64, "facts_digest": "sha256:" + "c" * 64, "dry_run": False,
        "masked": 0,
    }  # fmt: skip
    sealed = {"input": _INPUT, "facts": _FACTS, "answer": {"reason": "", "violations": [], "obligations": []}}
    return Entry("connector_call", "2026-03-01T10:00:00Z", public, sealed, f"person-{number % 500}")


def cost(records: int) -> float:
    """Microseconds of CPU a record, all threads."""
    with tempfile.TemporaryDirectory() as folder, AuditLog(Path(folder), origin="bench/audit") as log:
        start = time.process_time()
        for base in range(0, records, 1000):
            for future in [log.submit(entry(base + i)) for i in range(1000)]:
                future.result(60)
        return (time.process_time() - start) / records * 1e6


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{min(cost(count) for _ in range(3)):.1f} us of CPU a record (best of 3, {count} records)")
