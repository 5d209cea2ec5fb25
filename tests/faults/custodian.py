"""A log that is written, witnessed, erased from and re-keyed, to be killed: `python custodian.py HOME LEDGER RUN PEERS`.

In the ledger stands what was promised: `INDEX ID` for a record, `erased SUBJECT` for an erasure.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from audit.care import Care
from audit.custody import Custody
from audit.log import AuditLog
from audit.record import Entry
from audit.witnessing import Witnesses, parse_peers

ORIGIN = "log.example/faults"
NOW = "2026-06-01T00:00:00Z"


def write_for_ever(log: AuditLog, ledger: int, writer: int, run: str) -> None:
    number = 0
    while True:
        number += 1
        decision_id, subject = f"{run}-{writer}-{number}", f"person-{run}-{writer}-{number // 5}"
        public = {"decision_id": decision_id, "app": f"app{writer}", "effect": "deny", "rules": []}
        receipt = log.append(Entry("deploy", NOW, public, {"input": f"said by {subject}"}, subject))
        os.write(ledger, f"{receipt.index} {decision_id}\n".encode())


def erase_for_ever(log: AuditLog, ledger: int, run: str) -> None:
    custody, number = Custody(log), 0
    while True:
        number += 1
        public = {"decision_id": f"{run}-erase-{number}", "actor": "os:1", "effect": "allow", "rules": []}
        subject = f"person-{run}-erased-{number}"
        log.append(Entry("deploy", NOW, {**public, "app": "e"}, {"input": f"said by {subject}"}, subject))
        custody.act("erase", {"time": NOW, "public": public, "subject": subject, "reason": "asked"})
        os.write(ledger, f"erased {subject}\n".encode())
        if number % 5 == 0:
            custody.act("rotate_key", {"time": NOW, "public": public})
            custody.act("finish_rotation", {"time": NOW, "public": public})


def main() -> None:
    home, ledger_path, run, peers = Path(sys.argv[1]), sys.argv[2], sys.argv[3], parse_peers(sys.argv[4])
    ledger = os.open(ledger_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = AuditLog(home, origin=ORIGIN)
    witnesses = Witnesses(home, peers, len(peers), 5) if peers else None
    Care(log, home, origin=ORIGIN, witnesses=witnesses, self_audit_s=1, complain=sys.stderr.write)
    threads = [threading.Thread(target=write_for_ever, args=(log, ledger, n, run), daemon=True) for n in range(4)]
    if not peers:  # a witness is told of a log's new keys by hand
        threads.append(threading.Thread(target=erase_for_ever, args=(log, ledger, run), daemon=True))
    for thread in threads:
        thread.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threads[0].join()


if __name__ == "__main__":
    main()
