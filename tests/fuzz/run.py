"""`make fuzz`: 100,000 broken AdmissionReviews. No worker may die of one, and a yes is a decision that stands in the log.

python tests/fuzz/run.py [--count N] [--seed N]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from governance.log_wiring import open_reader  # noqa: E402
from governance.settings import Settings  # noqa: E402
from tests.fuzz.drive import drive  # noqa: E402
from tests.fuzz.reviews import reviews  # noqa: E402
from tests.journeys.service import Service  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="governance-fuzz-"))
    # What is looked for is a worker that breaks; one that is merely slow beside everything else is not.
    env = {"GOVERNANCE_ADMISSION": "open", "GOVERNANCE_BUDGET_MS": "20000"}
    service = Service(folder / "home", "--workers", "2", **env).start()
    try:
        before, started = service.children(""), time.monotonic()
        told = drive(int(service.url.rpartition(":")[2]), reviews(options.seed, options.count))
        seconds = time.monotonic() - started
        died = sorted(set(before) - set(service.children("")))
        reader = open_reader(Settings({"home": str(folder / "home")}))
        missing = [decision_id for decision_id in told.allowed if reader.find(decision_id) is None]
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)
    answers = ", ".join(f"{name} {count}" for name, count in sorted(told.counts.items()))
    print(f"{options.count} reviews (seed {options.seed}) in {seconds:.0f} s: {answers}")
    print(f"{len(told.allowed)} were allowed, {len(missing)} of them without a record; {len(died)} processes died")
    for row in [*told.wrong[:20], *missing[:20]]:
        print(f"WRONG {row}")
    return 1 if told.wrong or missing or died or not told.allowed else 0


if __name__ == "__main__":
    sys.exit(main())
