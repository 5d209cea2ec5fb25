"""Uploading decisions to a collector that fails now and then, and through kill -9: each at least once, none with a secret."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audit.log import AuditLog
from audit.reader import LogReader
from audit.record import Entry
from governance.errors import CallerError
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.upload import Collector, Uploader, UploadFailed
from governance.settings import Settings
from governance.wiring import active_of, parts_for
from tests.journeys.service import ROOT, environment
from tests.serving import serve

ORIGIN = "governance.local/audit"
SECRET = "AKIA" + "IOSFODNN7EXAMPLE"


class Sink:
    """A collector: remembers what it took; `answers` are the statuses it gives before it is well again."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.most_bytes = 1 << 30
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                status = sink.answers.pop(0) if sink.answers else 200
                status = 413 if len(raw) > sink.most_bytes else status
                if status == 200:
                    sink.headers.append({k.lower(): v for k, v in self.headers.items()})
                    sink.bodies.append(gzip.decompress(raw))
                    sink.taken += json.loads(sink.bodies[-1])
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve(self._http)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/logs"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def sink():
    running = Sink()
    yield running
    running.stop()


def write(home, count, start=0):
    with AuditLog(home, origin=ORIGIN) as log:
        for number in range(start, start + count):
            public = {
                "decision_id": f"d-{number}",
                "effect": "deny",
                "error": "invalid_request",
                "actor": "a",
                "app": "",
            }
            answer = {"answer": {"reason": f"r{number}"}}
            log.append(Entry("refused", f"2026-03-01T10:00:00.{number:06d}Z", public, answer, "a"))


@pytest.fixture
def uploader(tmp_path, sink):
    made = []

    def make(**changed):
        reader = LogReader(tmp_path / "home", origin=ORIGIN)
        made.append(reader)
        collector = Collector(**{"url": sink.url, "token_file": "", "batch": 10, **changed})
        return Uploader(reader, collector, tmp_path / "home", {"id": "x"}, lambda _: None)

    yield make
    for reader in made:
        reader.close()


def drain(uploader):
    while True:
        try:
            if not uploader.step():
                return
        except UploadFailed:
            continue


def ids(sink):
    return [event["decision_id"] for event in sink.taken]


def test_every_decision_goes_out_once_and_in_order_when_all_is_well(tmp_path, sink, uploader):
    write(tmp_path / "home", 25)
    drain(uploader())
    assert ids(sink) == [f"d-{number}" for number in range(25)]
    write(tmp_path / "home", 5, start=25)
    drain(uploader())
    assert ids(sink) == [f"d-{number}" for number in range(30)]
    event = sink.taken[3]
    assert event["error"] == {"code": "invalid_request", "message": "r3"}
    assert (event["labels"], event["req_id"], event["requested_by"]) == ({"id": "x"}, 4, "a")
    assert event["timestamp"].startswith("2026-03-01T10:00:00")
    assert sink.headers[0]["content-encoding"] == "gzip"


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 503])
def test_what_was_not_taken_is_sent_again(tmp_path, sink, uploader, status):
    write(tmp_path / "home", 12)
    sink.answers = [200, status, status]
    mine = uploader()
    assert mine.step() == 10
    for _ in range(2):
        with pytest.raises(UploadFailed, match=str(status)):
            mine.step()
    drain(mine)
    assert ids(sink) == [f"d-{number}" for number in range(12)]


def test_a_batch_that_is_too_large_goes_out_in_smaller_ones_and_a_single_event_without_its_contents(
    tmp_path, sink, uploader
):
    write(tmp_path / "home", 10)
    sink.most_bytes = 290
    drain(uploader())
    assert ids(sink) == [f"d-{number}" for number in range(10)]
    assert all("result" not in event for event in sink.taken if "erased" in event)


def test_the_token_is_sent_and_a_cursor_of_another_log_says_nothing(tmp_path, sink, uploader):
    (tmp_path / "token").write_text("t0ken")
    write(tmp_path / "home", 3)
    drain(uploader(token_file=str(tmp_path / "token")))
    assert sink.headers[0]["authorization"] == "Bearer t0ken"
    cursor = tmp_path / "home" / "upload" / "cursor.json"
    cursor.write_text(json.dumps({**json.loads(cursor.read_bytes()), "log": "another"}))
    drain(uploader())
    assert len(sink.taken) == 6


@pytest.mark.parametrize("url", ["http://collector.example/logs", "ftp://x", "https://u:p@x.example/", "nonsense", ""])
def test_an_address_that_decisions_must_not_go_to_is_refused(url):
    with pytest.raises(CallerError):
        Collector(url, "", 1).check()


def test_secrets_do_not_leave_and_masked_says_where_they_were(tmp_path, sink, uploader):
    home = tmp_path / "home"
    settings = Settings({"home": str(home)})
    active = active_of(settings)
    resource = {
        "app": "lunch", "source": "form", "destination": {"connector": "slack"}, "purpose": "p",
        "content_type": "application/json", "payload": {"note": f"key {SECRET}", "a/b": SECRET},
        "headers": {"Authorization": "xy"},
    }  # fmt: skip
    with AuditLog(home, origin=ORIGIN) as log:
        line = Pipeline(parts_for(settings, lambda: active)._replace(recorder=LogRecorder(log, 30)))
        line.decide(normalise_document({"kind": "data_flow", "resource": resource, "tenant": "hr"}, Source("t", "ann")))
        log.append(Entry("key_created", "2026-03-01T10:00:00Z", {"decision_id": "k"}, {}))
    drain(uploader())
    assert SECRET.encode() not in b"".join(sink.bodies)
    (event,) = sink.taken
    assert event["path"] == "platform/main/data_flow"
    assert "/input/resource/headers/Authorization" in event["masked"]
    assert "/input/resource/payload/a~1b" in event["masked"]
    assert event["bundles"]["main"]["revision"] == active.revision
    assert event["result"]["violations"]


def test_killed_at_any_moment_it_loses_nothing(tmp_path, sink):
    home, total = tmp_path / "home", 400
    write(home, total)
    env = environment(home, GOVERNANCE_DECISION_LOG_URL=sink.url, GOVERNANCE_DECISION_LOG_BATCH="7")
    argv = [sys.executable, "-m", "governance.entrypoints.http.upload_main"]
    for round_ in range(4):
        sink.answers = [500, 200, 503] if round_ % 2 else []
        seen = len(sink.taken)
        process = subprocess.Popen(argv, env=env, cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(sink.taken) < min(seen + 40, total) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = subprocess.Popen(argv, env=env, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(set(ids(sink))) < total and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(20) == 0
    assert set(ids(sink)) == {f"d-{number}" for number in range(total)}
    assert len(sink.taken) <= total + 5 * 7, "at most the last batch of each life is sent twice"
