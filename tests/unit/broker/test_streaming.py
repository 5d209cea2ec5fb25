"""Answers that come in parts: each decided on, recorded and masked before it leaves, and nothing after a no."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import GovernanceError
from governance.platform.broker.doubles import Reply
from governance.platform.broker.records import cutter
from governance.platform.broker.sending import AnswerTooLarge, SendFailed
from tests.unit.broker.conftest import CANARY, HOST, LUNCH

EXPORT = {
    "method": "GET", "url": f"https://{HOST}/v1/employees/export", "scopes": ["employees:read"],
}  # fmt: skip
ADA = {"id": "E-1001", "userName": "ada@example.com", "department": "Campaigns", "dietaryPreference": "vegan"}
BEN = {"id": "E-1002", "userName": "ben@example.com", "department": "Campaigns", "dietaryPreference": "halal"}


def line(value) -> bytes:
    return json.dumps(value).encode() + b"\n"


def streamed(world, *pieces: bytes, content_type: str = "application/x-ndjson", status: int = 200, **headers):
    """Every part that came, and the error that ended them, if one did."""
    world.vendor = lambda asked: Reply(b"", content_type, status, headers, iter(pieces))
    parts, error = [], None

    async def listen() -> None:
        nonlocal error
        try:
            async for part in world.broker.stream(LUNCH, "hris", EXPORT, entry_point="test", trace_id="ab" * 16):
                parts.append(part)
        except GovernanceError as caught:
            error = caught

    world.runner.run(listen())
    return parts, error


def test_each_part_is_masked_and_on_record_before_it_comes(world):
    parts, error = streamed(world, line(ADA), line(BEN))
    assert error is None
    begun, *passed = parts
    assert (begun.answer, begun.status, begun.refusal) == (None, 200, None)
    people = [person for part in passed for person in part.answer]
    assert [person["dietaryPreference"] for person in people] == ["vegan", "halal"]
    assert "ada" not in json.dumps(people)
    assert "E-1002" not in json.dumps(people)
    kept = {record["public"]["decision_id"]: record for record in world.records()}
    for part in passed:
        record = kept[part.answer_decision.decision_id]
        assert (record["kind"], record["public"]["trace_id"]) == ("data_flow", "ab" * 16)
    assert "ada@example.com" not in json.dumps(list(kept.values()))


def test_a_part_that_may_not_be_seen_ends_the_stream_with_its_record(world):
    parts, error = streamed(world, line(ADA), line({"note": "ghp_" + "a" * 36}), line(BEN))
    assert error is None
    last = parts[-1]
    assert {violation.rule for violation in last.refusal.violations} == {"DATA-010"}
    assert last.answer is None
    assert "halal" not in json.dumps([part.answer for part in parts])
    record = world.records()[-1]
    assert (record["public"]["decision_id"], record["public"]["effect"]) == (last.refusal.decision_id, "deny")


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([line(ADA), b"{"], "cannot be read"),
        ([line(ADA), b'"loose text"\n'], "no JSON object"),
        ([line(ADA), line({"note": CANARY})], "repeats the credential"),
        ([line(ADA), line({"note": CANARY.encode().hex()})], "repeats the credential"),
        (
            [line(ADA), *[line({"department": part}) for part in (CANARY[:9], CANARY[9:17], CANARY[17:])]],
            "repeats the cr",
        ),
        ([line(ADA), line({"note": 1})[:-1], b',{"note": 2}\n'], "cannot be read"),
        ([line(ADA), b'\xef\xbb\xbf{"note": "\xef\xbb"}\n'], "cannot be read"),
        ([line(ADA), b'[{"userName": "note@example.com"}]\n'], "no JSON object"),
        ([line(ADA), b'{"a": 1, "a": 2}\n'], "cannot be read"),
        ([line(ADA), b"\xff\n"], "cannot be read"),
        ([line(ADA), b"x" * ((1 << 20) + 1)], "a record of the answer has more than 1048576 bytes"),
    ],
)
def test_an_error_in_between_cuts_the_stream_and_is_on_record(world, pieces, words):
    parts, error = streamed(world, *pieces)
    assert words in str(error)
    assert CANARY not in str(error)
    assert all("note" not in json.dumps(part.answer) for part in parts)
    last = world.records()[-1]
    assert (last["kind"], last["public"]["error"]) == ("refused", error.code)


def test_a_vendor_that_hangs_up_in_between_is_an_error(world):
    def pieces():
        yield line(ADA)
        raise ConnectionResetError

    world.vendor = lambda asked: Reply(b"", "application/x-ndjson", pieces=pieces())
    seen = []

    async def listen() -> None:
        async for part in world.broker.stream(LUNCH, "hris", EXPORT, entry_point="test", trace_id="ab" * 16):
            seen.append(part)

    with pytest.raises(SendFailed):
        world.runner.run(listen())
    assert world.records()[-1]["kind"] == "refused"


def test_nothing_of_a_stream_s_headers_passes_before_anything_was_decided(world):
    parts, error = streamed(world, line(ADA), etag='"ada@example.com"')
    assert (error, parts[0].headers) == (None, {})
    assert "ada" not in json.dumps([[part.headers, part.answer] for part in parts[1:]])


def test_a_field_split_over_two_pieces_or_in_other_letters_is_hidden(world):
    raw = line({"USERNAME": "ada", "dietaryPreference": "vegan"})
    parts, error = streamed(world, *[raw[start : start + 3] for start in range(0, len(raw), 3)])
    assert error is None
    assert [person for part in parts[1:] for person in part.answer] == [
        {"USERNAME": "[masked]", "dietaryPreference": "vegan"}
    ]


def test_a_record_of_another_shape_is_refused(world):
    parts, _ = streamed(world, line(ADA), line({"id": 7}))
    assert {violation.rule for violation in parts[-1].refusal.violations} == {"CONN-012"}


def test_what_is_not_of_the_registered_form_comes_whole_or_not_at_all(world):
    parts, error = streamed(world, json.dumps([ADA]).encode(), content_type="application/json")
    assert error is None
    (whole,) = parts
    assert whole.answer[0]["dietaryPreference"] == "vegan"
    parts, error = streamed(world, b"x" * ((1 << 20) + 1), content_type="text/plain")
    assert (parts, error.code) == ([], "answer_too_large")
    parts, _ = streamed(world, b'{"detail": "no"}', content_type="application/json", status=404)
    assert [part.status for part in parts] == [404]


def test_a_list_at_the_top_is_read_whole_and_masked_or_not_passed_at_all(world):
    raw = json.dumps([ADA, BEN]).encode()
    pieces = [raw[start : start + 7] for start in range(0, len(raw), 7)]
    parts, error = streamed(world, *pieces, content_type="application/json")
    (whole,) = parts
    assert (error, [person["dietaryPreference"] for person in whole.answer]) == (None, ["vegan", "halal"])
    assert not any(word in json.dumps(whole.answer) for word in ("E-100", "ada", "ben"))
    parts, error = streamed(world, *pieces)
    assert [part.answer for part in parts] == [None]
    assert "no JSON object" in str(error)
    parts, error = streamed(world, b"[", *[line(ADA) + b","] * 12_000, content_type="application/json")
    assert (parts, error.code) == ([], "answer_too_large")


def test_a_list_that_is_packed_is_unfolded_under_the_same_bound(world):
    for raw, content_type in ((json.dumps([ADA]).encode(), "application/json"), (line(ADA), "application/x-ndjson")):
        headers = {"content-encoding": "gzip"}
        parts, error = streamed(world, gzip.compress(raw), content_type=content_type, **headers)
        assert error is None
        assert "vegan" in json.dumps([part.answer for part in parts])
        assert "ada" not in json.dumps([part.answer for part in parts])
    bomb = gzip.compress(b"[" + b"0," * (50 << 20), 1)
    parts, error = streamed(world, bomb, **{"content-encoding": "gzip"})
    assert (parts, error.code) == ([], "answer_too_large")


def test_a_stream_that_sends_elsewhere_is_not_followed(world):
    parts, error = streamed(world, status=302, location="https://collect.evil.example/")
    assert (parts, error.code) == ([], "redirect_refused")
    assert len(world.double.asked) == 1


def test_a_call_that_is_refused_streams_nothing(world):
    async def listen() -> list:
        asked = {**EXPORT, "scopes": ["employees:write"]}
        return [p async for p in world.broker.stream(LUNCH, "hris", asked, entry_point="test", trace_id="ab" * 16)]

    (only,) = world.runner.run(listen())
    assert "OAUTH-006" in {violation.rule for violation in only.refusal.violations}
    assert world.double.asked == []


def cut(form: str, pieces: list[bytes], longest: int = 1000) -> list:
    reader = cutter(form, longest)
    return [record for piece in pieces for record in reader.feed(piece)] + reader.end()


ROWS = st.lists(st.dictionaries(st.text('abc\u2028é"\n\r,', min_size=1), st.text(max_size=9), max_size=3), max_size=5)
TABLES = st.lists(st.lists(st.text('ab",\n é', max_size=5), min_size=2, max_size=2), max_size=5)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def pieces_of(raw: bytes, places: list[int]) -> list[bytes]:
    ends = [*sorted({place for place in places if place < len(raw)}), len(raw)]
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(ROWS, CUTS, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_wherever_a_stream_is_cut_its_records_are_the_same(rows, places, end):
    texts = [json.dumps(row).encode() for row in rows]
    assert cut("ndjson", pieces_of(end.join([*texts, b""]), places)) == rows
    events = b"".join(b": hello" + end + b"event: row" + end + b"data: " + text + end + end for text in texts)
    assert cut("sse", pieces_of(events + b"data: [DONE]" + end + end, places)) == rows


@given(TABLES, CUTS)
def test_a_table_s_rows_are_its_records_whatever_they_hold(rows, places):
    import csv
    import io

    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["first", "second"], *rows])
    read = cut("csv", pieces_of(out.getvalue().encode(), places))
    assert read == [{"first": first, "second": second} for first, second in rows]


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("ndjson", b"7\n"), ("ndjson", b"{\n"), ("ndjson", b'{"a": NaN}'), ("sse", b"data: text\n\n"),
        ("sse", b'data: {"a": 1}\n'), ("csv", b"a,a\n1,2\n"), ("csv", b"a,b\n1\n"), ("csv", b'a,b\n"1,2\n'),
        ("csv", b'a,b\nx"y",2\n"'), ("csv", b",b\n1,2\n"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(form, raw):
    with pytest.raises(SendFailed):
        cut(form, [raw])


@pytest.mark.parametrize(
    ("form", "part"), [("ndjson", b"x" * 60), ("sse", b"data: x\n" * 8), ("csv", b'"' + b"x\n" * 30)]
)
def test_a_record_without_end_is_refused_before_it_is_kept(form, part):
    reader = cutter(form, 100)
    assert reader.feed(part) == []
    with pytest.raises(AnswerTooLarge):
        reader.feed(part.replace(b'"', b""))


def left_after(world, count: int, asked=EXPORT) -> list[str]:
    """What was recorded of a call whose caller goes away after so many parts: kinds, and errors of refusals."""

    async def leave() -> None:
        parts = world.broker.stream(LUNCH, "hris", asked, entry_point="test", trace_id="ef" * 16)
        for _ in range(count):
            await anext(parts)
        await parts.aclose()

    world.runner.run(leave())
    told = [record for record in world.records() if record["public"].get("trace_id") == "ef" * 16]
    return [record["public"].get("error") or record["kind"] for record in told]


def test_a_caller_who_goes_away_between_parts_is_on_record(world):
    world.vendor = lambda asked: Reply(b"", "application/x-ndjson", pieces=iter([line(ADA), line(BEN)]))
    assert left_after(world, 0) == []
    assert left_after(world, 1) == ["connector_call", "given_up"]


def test_who_goes_away_after_the_last_word_gives_nothing_up(world):
    world.vendor = lambda asked: Reply(json.dumps([ADA]).encode())
    assert left_after(world, 1) == ["connector_call", "data_flow"]
    world.vendor = lambda asked: Reply(b"", "application/x-ndjson", pieces=iter([line({"note": "ghp_" + "a" * 36})]))
    assert left_after(world, 2)[2:] == ["connector_call", "data_flow"]
    assert left_after(world, 1, {**EXPORT, "scopes": ["employees:write"]})[4:] == ["connector_call"]


def test_a_stream_that_is_given_up_before_its_decision_is_on_record(world):
    async def leave() -> None:
        parts = world.broker.stream(LUNCH, "hris", EXPORT, entry_point="test", trace_id="ef" * 16)
        first = asyncio.ensure_future(anext(parts))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await world.broker._ends.written()

    world.runner.run(leave())
    assert world.records()[-1]["public"]["error"] == "given_up"
    assert world.double.asked == []
