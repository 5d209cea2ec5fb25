"""The deep scan: Presidio in its own process, without network, and never silent about having given no answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from governance.enrich.pii.policy import ScanPolicy
from governance.enrich.port import enrich_all
from governance.enrich.presidio_worker import LARGEST, DeepScanFailed, DeepScanner
from governance.enrich.scan import ScanFacts, scan_document
from governance.model.request import Source
from governance.normalise.requests import normalise_document

POLICY = ScanPolicy(deep_kinds=frozenset({"template"}))
KEY = Source("http.decisions", "key:1", ("service",))


@pytest.fixture(scope="module")
def deep():
    scanner = DeepScanner(deadline_s=20)
    yield scanner
    scanner.close()


def template(text):
    resource = {"metadata": {"name": "x", "version": "1.0.0"}, "spec": {"summary": text}}
    return normalise_document({"kind": "template", "resource": resource}, KEY)


def test_presidio_and_our_own_recogniser_answer_together(deep):
    texts = [
        "mail ada@example.com about it",
        "Ihre IBAN DE89 3704 0044 0532 0130 00",
        "nothing here",
        "PESEL 44051401359",
    ]
    found = {(f.text, f.entity) for f in deep.scan(texts, POLICY)}
    assert {(0, "EMAIL_ADDRESS"), (1, "IBAN_CODE"), (3, "PL_PESEL")} <= found
    assert 2 not in {number for number, _ in found}


def test_words_around_a_value_count_without_a_model(deep):
    """MEDICAL_LICENSE and bank numbers are weak patterns that only a word beside them makes likely."""
    scores = {
        f.text: f.score
        for f in deep.scan(["945456787654", "my bank account is 945456787654"], ScanPolicy(least_score=0.01))
        if f.entity == "US_BANK_NUMBER"
    }
    assert scores[1] > scores[0]


def test_names_in_free_text_are_not_found_without_a_model(deep):
    """What the README says is not detected: this fails on the day it no longer holds."""
    assert "PERSON" not in {f.entity for f in deep.scan(["Ada Lovelace lives in London"], POLICY)}


def test_the_request_path_adds_what_the_deep_scan_finds_for_the_kinds_that_policy_names(deep):
    text = "my bank account is 945456787654"
    with_deep = ScanFacts(lambda: POLICY._replace(least_score=0.3), deep).facts(template(text))
    assert ("US_BANK_NUMBER", "deep") in {(f["entity"], f["reason"]) for f in with_deep["pii"]}
    without = ScanFacts(lambda: POLICY._replace(deep_kinds=frozenset())).facts(template(text))
    assert without["pii"] == []


def test_a_document_can_be_read_by_both_tiers(deep):
    found = scan_document(b"a\nmy bank account is 945456787654\n", "text/plain", ScanPolicy(least_score=0.3), deep)
    assert [(f.entity, f.line) for f in found if f.reason == "deep"] == [("US_BANK_NUMBER", 2)]


def test_a_worker_that_stands_still_is_killed_and_nothing_is_known():
    scanner = DeepScanner(deadline_s=1)
    try:
        scanner.scan(["warm up"], POLICY)
        pid = scanner._process.pid
        os.kill(pid, signal.SIGSTOP)
        facts = enrich_all(template("x"), [ScanFacts(lambda: POLICY, scanner)])
        assert facts.values["unavailable"] == ["pii"]
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert scanner.scan(["mail ada@example.com"], POLICY)[0].entity == "EMAIL_ADDRESS"
        os.kill(scanner._process.pid, signal.SIGKILL)
        scanner._process.wait()
        assert scanner.scan(["mail ada@example.com"], POLICY)[0].entity == "EMAIL_ADDRESS"
    finally:
        scanner.close()


def test_a_worker_that_never_starts_or_talks_nonsense_gives_no_findings():
    for module in ("governance.enrich.no_such_module", "this"):
        with pytest.raises(DeepScanFailed):
            DeepScanner(deadline_s=1, engine=module).scan(["x"], POLICY)


def test_a_text_that_is_too_long_is_refused_before_it_costs_anything():
    with pytest.raises(DeepScanFailed, match="characters"):
        DeepScanner().scan(["x" * (LARGEST + 1)], POLICY)


def test_a_deep_scan_that_is_asked_for_and_absent_is_a_missing_fact():
    facts = enrich_all(template("x"), [ScanFacts(lambda: POLICY)])
    assert facts.values["unavailable"] == ["pii"]


TRAP = """
import sys
def trap(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto", "socket.gethostbyname"}:
        sys.stderr.write("NETWORK " + event + chr(10)); sys.stderr.flush()
sys.addaudithook(trap)
from governance.enrich import presidio_engine
presidio_engine.main()
"""


def test_nothing_in_the_worker_reaches_for_the_network():
    question = json.dumps({"texts": ["ada@example.co.uk https://example.org +49 30 901820 192.0.2.1"], "policy": {}})
    done = subprocess.run(
        [sys.executable, "-c", TRAP], input=question + "\n", capture_output=True, text=True, check=True
    )
    assert "NETWORK" not in done.stderr
    assert "EMAIL_ADDRESS" in done.stdout


def test_a_socket_cannot_be_opened_in_the_worker():
    code = "from governance.enrich.presidio_engine import close_network; close_network(); import socket\n{}"
    for attempt in (
        "socket.socket()",
        "socket.create_connection(('192.0.2.1', 80))",
        "socket.getaddrinfo('example.com', 80)",
    ):
        done = subprocess.run([sys.executable, "-c", code.format(attempt)], capture_output=True, text=True, check=False)
        assert "no network" in done.stderr
