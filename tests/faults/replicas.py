"""One replica of a shared log, in a process of its own so that it can be killed. `python replicas.py HOME LEDGER RUN URL`.

Eight threads write as fast as they can; what was acknowledged goes into the ledger with one unbuffered write. What was refused
is asked again as a new record, as a service would. Says on its standard output when it became the one that writes the log.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from audit.errors import NotDurable
from audit.postgres import Database
from audit.record import Entry
from audit.shared import SharedLog

WRITERS = 8
ORIGIN = "log.example/shared-faults"


def write_for_ever(log: SharedLog, ledger: int, writer: int, run: str) -> None:
    number = 0
    while True:
        number += 1
        decision_id = f"{run}-{writer}-{number}"
        public = {"decision_id": decision_id, "app": f"app{writer}", "effect": "deny", "rules": ["R-1"]}
        sealed = {"input": {"text": "x" * (number % 20 * 40)}}
        try:
            receipt = log.append(Entry("deploy", "2026-03-01T10:00:00Z", public, sealed, f"subject{writer}"))
        except NotDurable:
            time.sleep(0.05)
            continue
        os.write(ledger, f"{receipt.index} {decision_id}\n".encode())


def main() -> None:
    home, ledger_path, run, url = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    ledger = os.open(ledger_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = SharedLog(home, origin=ORIGIN, database=Database(url), complain=sys.stderr.write)
    for writer in range(WRITERS):
        threading.Thread(target=write_for_ever, args=(log, ledger, writer, run), daemon=True).start()
    sys.stdout.write("ready\n")
    was_elected = False
    while not log.distrusted:
        if log.is_elected != was_elected:
            was_elected = log.is_elected
            sys.stdout.write("elected\n" if was_elected else "not elected\n")
        sys.stdout.flush()
        time.sleep(0.02)
    sys.stdout.write(f"distrusts: {log.distrusted}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
