"""What the fault tests run in processes of their own, so that they can be killed. `python writers.py HOME LEDGER`.

Twenty threads write records of different sizes as fast as they can. After each acknowledgement the record's id goes, with
one unbuffered write, into the ledger: what stands there was promised.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from audit.log import AuditLog
from audit.record import Entry

WRITERS = 20
ORIGIN = "log.example/faults"


def write_for_ever(log: AuditLog, ledger: int, writer: int, run: str) -> None:
    number = 0
    while True:
        number += 1
        decision_id = f"{run}-{writer}-{number}"
        public = {"decision_id": decision_id, "app": f"app{writer}", "effect": "deny", "rules": ["R-1"]}
        sealed = {"input": {"text": "x" * (number % 50 * 40)}}
        receipt = log.append(Entry("deploy", "2026-03-01T10:00:00Z", public, sealed, f"subject{writer}"))
        os.write(ledger, f"{receipt.index} {decision_id}\n".encode())


def main() -> None:
    home, ledger_path, run = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    ledger = os.open(ledger_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = AuditLog(home, origin=ORIGIN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threads = [
        threading.Thread(target=write_for_ever, args=(log, ledger, writer, run), daemon=True)
        for writer in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    threads[0].join()


if __name__ == "__main__":
    main()
