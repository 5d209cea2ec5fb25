"""`/v1/scans` over HTTP: formats, places, roles, limits, the record, and that no value comes back."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

CARD, MAIL, IBAN = "4111 1111 1111 1111", "ada.example@example.com", "DE89370400440532013000"


@pytest.fixture(scope="module")
def citizen(service):
    with service.client("citizen", "marketing") as client:
        yield client


def scan(client, body, content_type="text/plain", **more):
    raw = body if isinstance(body, bytes) else body.encode()
    return client.post("/v1/scans", content=raw, headers={"content-type": content_type, **more})


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", json.dumps({"a": [{"note": CARD}]}), {("/a/0/note", "CREDIT_CARD")}),
        ("application/json", '{"a": "' + MAIL + '", "a": "x"}', {("", "EMAIL_ADDRESS")}),
        ("application/merge-patch+json; charset=UTF-8", json.dumps({"dob": "1980-02-01"}), {("/dob", "BIRTH_DATE")}),
        ("text/csv", f"id,mail\n1,{MAIL}\n", {("/1/mail", "EMAIL_ADDRESS")}),
        ("application/xml", f"<a><b>{IBAN}</b></a>", {("/a/0/b/0", "IBAN_CODE")}),
        ("application/x-www-form-urlencoded", "mail=ada%40example.com", {("/mail", "EMAIL_ADDRESS")}),
        ("application/x-ndjson", '{"a":1}\n{"ssn":"219-09-9999"}\n', {("/1/ssn", "US_SSN")}),
        ("text/plain", f"see {CARD}", {("", "CREDIT_CARD")}),
        ("", f"see {CARD}", {("", "CREDIT_CARD")}),
    ],
)
def test_every_format_is_read_with_places(citizen, content_type, body, expected):
    answer = scan(citizen, body, content_type)
    assert answer.status_code == 200, answer.text
    assert {(f["pointer"], f["entity"]) for f in answer.json()["findings"]} == expected


def test_a_finding_says_why_how_it_was_hidden_and_where_and_the_record_counts_it(service, citizen):
    hidden = base64.b64encode(MAIL.encode()).decode()
    answer = scan(citizen, f"https://x.example/?d={hidden}&k=AKIAABCDEFGHIJKLMNOP").json()
    by_entity = {f["entity"]: f for f in answer["findings"]}
    mail, key = by_entity["EMAIL_ADDRESS"], by_entity["AWS_ACCESS_KEY"]
    assert (mail["kind"], mail["reason"], mail["decode"][-1], mail["line"]) == ("pii", "form", "base64", 1)
    assert (key["kind"], key["reason"], key["decode"]) == ("secret", "prefix", [])
    start, end = mail["span"]
    assert f"https://x.example/?d={hidden}"[start:end] == hidden
    record = next(r for r in service.records(kind="scan") if r["public"]["decision_id"] == answer["scan_id"])
    assert record["public"]["counts"] == answer["counts"]
    assert (record["public"]["revision"], record["public"]["policy"]) == (answer["revision"], answer["policy"])
    assert answer["revision"] == citizen.get("/readyz").json()["revision"]
    assert answer["policy"]["least_score"] == 0.5
    assert "DE" in answer["policy"]["countries"]
    assert (record["public"]["tenant"], record["public"]["actor"][:4]) == ("marketing", "key:")


def test_no_value_comes_back_not_even_as_the_name_of_a_member_or_column(service, citizen):
    document = {MAIL: {"deeper": CARD}, "list": [{"IBAN " + IBAN: MAIL}]}
    answers = [
        scan(citizen, json.dumps(document), "application/json"),
        scan(citizen, f"{MAIL},{IBAN}\n{CARD},x\n", "text/csv"),
        scan(citizen, f"<a><b id='{CARD}'/></a>", "application/xml"),
    ]
    told = "".join(answer.text for answer in answers) + json.dumps(service.records(kind="scan"))
    assert all(answer.json()["findings"] for answer in answers)
    for value in (MAIL, CARD, IBAN):
        assert value not in told
        assert value.replace(" ", "") not in told
    assert "/[EMAIL_ADDRESS]/deeper" in {f["pointer"] for f in answers[0].json()["findings"]}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"\xff\xfe4\x001\x00", "text/plain", 400),
        (b"  ", "text/plain", 400),
        (b"%PDF-1.7", "application/pdf", 415),
        (b"a", "text/plain; charset=utf-16", 415),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/xml", 400),
        (b"ada@example.com " * 6000, "text/plain", 413),
        (b"x" * ((1 << 20) + 1), "text/plain", 413),
    ],
)
def test_what_cannot_be_looked_into_is_refused_and_recorded_never_called_clean(
    service, citizen, body, content_type, status
):
    answer = scan(citizen, body, content_type)
    assert answer.status_code == status
    assert "findings" not in answer.json()
    refused = service.records(kind="refused")[0]
    assert (refused["public"]["decision_id"], refused["public"]["entry_point"]) == (
        answer.json()["decision_id"], "http.scans",
    )  # fmt: skip


def test_a_compressed_document_is_read_and_an_unknown_option_is_not_passed_over(citizen):
    packed = scan(citizen, gzip.compress(CARD.encode()), **{"content-encoding": "gzip"})
    assert packed.json()["counts"] == {"CREDIT_CARD": 1}
    assert citizen.post("/v1/scans?deep=yes", content=CARD).status_code == 400
    assert citizen.post("/v1/scans?deeep=true", content=CARD).status_code == 400


def test_the_deep_scan_is_asked_where_it_is_wanted(citizen):
    text = "her driver license is A1234567"
    assert "US_DRIVER_LICENSE" not in scan(citizen, text).json()["counts"]
    deep = citizen.post("/v1/scans?deep=true", content=text, timeout=90).json()
    assert deep["deep"]
    assert [f["reason"] for f in deep["findings"] if f["entity"] == "US_DRIVER_LICENSE"] == ["deep"]


def test_who_only_reads_the_log_may_not_scan_and_nobody_without_a_key(service):
    with service.client("auditor") as auditor, service.client() as nobody:
        assert scan(auditor, CARD).status_code == 403
        assert scan(nobody, CARD).status_code == 401


def test_the_openapi_document_says_what_can_be_sent_and_what_comes_back(service):
    with service.client() as nobody:
        document = nobody.get("/openapi.json").json()
    operation = document["paths"]["/v1/scans"]["post"]
    assert {"text/csv", "application/xml", "application/json"} <= set(operation["requestBody"]["content"])
    assert [p["name"] for p in operation["parameters"]] == ["deep"]
    finding = document["components"]["schemas"]["Scan"]["properties"]["findings"]["items"]["properties"]
    assert {"pointer", "entity", "score", "reason", "decode", "span"} <= set(finding)
