"""Lines of the gateway become records: each once, none before it is durable, none lost while the log is away."""

from __future__ import annotations

import asyncio
import json

import pytest

from audit.errors import NotDurable
from governance.platform.access_log import AccessLog, entry_of_line

LINE = {
    "at": "2026-11-25T03:01:47.721Z", "app": "lunch", "tenant": "marketing", "status": 200, "caller": "ada",
    "path": "/menu/bob@example.com", "peer": "192.0.2.7", "host": "lunch.example.com", "decision": "d-1", "refusal": None,
    "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00", "method": "GET", "ms": 3, "request_id": "r-1",
}  # fmt: skip


def raw(**changes) -> bytes:
    return json.dumps({**LINE, **changes}).encode() + b"\n"


class Log:
    """Keeps what it is given, until it is told to fail."""

    def __init__(self) -> None:
        self.kept, self.is_away = [], False

    async def append(self, entry) -> None:
        if self.is_away:
            raise NotDurable("away")
        self.kept.append(entry)


def test_a_line_is_a_record_that_names_its_decision_and_its_trace():
    entry = entry_of_line(raw())
    about = {name: entry.public[name] for name in ("decision", "trace_id", "app", "tenant", "effect", "status", "ms")}
    assert about == {
        "decision": "d-1", "trace_id": "ab" * 16, "app": "lunch", "tenant": "marketing", "effect": "allow",
        "status": 200, "ms": 3,
    }  # fmt: skip
    assert (entry.kind, entry.time, entry.subject) == ("gateway_call", "2026-11-25T03:01:47.721000Z", "ada")


def test_who_called_and_from_where_is_sealed_and_personal_values_of_a_path_are_gone():
    entry = entry_of_line(raw())
    assert not {"ada", "192.0.2.7"} & {str(value) for value in entry.public.values()}
    assert entry.sealed["call"]["peer"] == "192.0.2.7"
    assert "bob@example.com" not in json.dumps(entry.sealed)


@pytest.mark.parametrize(
    ("status", "effect"), [(200, "allow"), (302, "allow"), (401, "deny"), (0, "deny"), (None, "deny")]
)
def test_what_was_not_answered_well_reads_as_no(status, effect):
    assert entry_of_line(raw(status=status)).public["effect"] == effect


def test_what_a_caller_writes_makes_no_record_too_large():
    long = '"' * 30_000
    entry = entry_of_line(raw(traceparent=f"00-{long}-a-00", method=long, path=long, host=long, request_id=[long]))
    assert len(json.dumps([entry.public, entry.sealed])) < 20_000


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[1]", b'"x"', b"\xff\xfe"])
def test_what_is_no_line_of_ours_is_no_record(line):
    assert entry_of_line(line) is None


def test_lines_are_recorded_once_whole_and_over_restarts(tmp_path):
    log, path = Log(), tmp_path / "calls.log"
    assert asyncio.run(AccessLog(path, log.append).record_new()) == 0
    path.write_bytes(raw(ms=1) + raw(ms=2) + raw(ms=3)[:20])
    follower = AccessLog(path, log.append)
    assert asyncio.run(follower.record_new()) == 2
    with path.open("ab") as file:
        file.write(raw(ms=3)[20:] + raw(ms=4))
    assert asyncio.run(AccessLog(path, log.append).record_new()) == 2
    assert [entry.public["ms"] for entry in log.kept] == [1, 2, 3, 4]


def test_while_the_log_is_away_no_line_counts_as_read(tmp_path):
    log, path = Log(), tmp_path / "calls.log"
    path.write_bytes(raw(ms=1))
    log.is_away = True
    follower = AccessLog(path, log.append)
    with pytest.raises(NotDurable):
        asyncio.run(follower.record_new())
    log.is_away = False
    assert asyncio.run(follower.record_new()) == 1


def test_a_new_file_is_read_from_its_beginning(tmp_path):
    log, path = Log(), tmp_path / "calls.log"
    path.write_bytes(raw(ms=1) * 3)
    follower = AccessLog(path, log.append)
    asyncio.run(follower.record_new())
    path.rename(tmp_path / "old.log")
    path.write_bytes(raw(ms=9))
    assert asyncio.run(follower.record_new()) == 1
