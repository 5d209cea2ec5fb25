"""Obligations on data: what was found is gone, and everything else is byte for byte what it was."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.documents.json_places import json_places
from governance.documents.leaves import NotReadable
from governance.enforce import masked_document, masked_payload
from governance.enrich.scan import ScanFacts, scan_document
from governance.errors import CallerError, DependencyError, InternalError
from governance.model.decision import Decision, Obligation
from governance.model.pointer import to_segments
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.protect.keys import data_keys
from governance.protect.transforms import Keys, detokenize, digest, generalize, mask, tokenize

KEYS = Keys(bytes(range(64)), bytes(32))
SRC = Source("t", "a", ("service",))


def decision(*obligations):
    return Decision("id", "data_flow", "allow", (), tuple(obligations), "", None, "r", "i", "f", "rvm", "t", None, "")


def step(method, *pointer, **more):
    return Obligation(method, "o", {"pointer": list(pointer), **more})


def obligations_for(text: str, content_type: str, method: str = "mask") -> Decision:
    """What a policy asks for that finds every finding intolerable."""
    steps = []
    for found in scan_document(text.encode(), content_type):
        pointer = to_segments(found.pointer) if content_type == "application/json" else ()
        more = {} if found.span is None else {"span": list(found.span)}
        steps.append(step(method, *pointer, entity=found.entity, **more))
    return decision(*steps)


VALUES = st.sampled_from([
    "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "ada.example@example.com", "219-09-9999", "+49 30 901820",
    "192.0.2.17", "44051401359", "AKIAABCDEFGHIJKLMNOP",
    "YWRhLmV4YW1wbGVAZXhhbXBsZS5jb20=", "born on 1980-02-01", "ada%40example.com",
])  # fmt: skip
NAMES = st.sampled_from(["note", "email", "phone", "dob", "x", "ssn", "name", "iban", "Straße"])
TEXTS = (
    st.builds("{} {} {}".format, st.text("abc ,.;äé\n", max_size=8), VALUES, st.text("abc ,.;äé", max_size=8)) | VALUES
)
ROWS = st.lists(TEXTS.map(lambda text: text.replace("\n", " ")), min_size=3, max_size=3)
JSON = st.recursive(
    TEXTS | st.text(max_size=8) | st.integers(-99, 99) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def members(value, name):
    """Values of every member of a name, at whatever depth, the outermost of each."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from [item] if key == name else members(item, name)
    if isinstance(value, list):
        for item in value:
            yield from members(item, name)


@settings(max_examples=60, deadline=None)
@given(JSON, NAMES)
def test_a_name_at_any_depth_is_hidden_wherever_it_stands_and_nothing_else_is(value, name):
    given_ = decision(step("mask", "**", name))
    after = masked_payload(value, given_)
    hidden = list(members(value, name))
    assert list(members(after, name)) == ["[masked]"] * len(hidden)
    assert json.dumps(after).count("[masked]") == json.dumps(value).count("[masked]") + len(hidden)
    assert (after == value) == (not hidden)
    assert json.loads(masked_document(json.dumps(value).encode(), "application/json", given_)) == after


def test_any_depth_is_none_as_well_and_a_member_that_is_named_so_is_one():
    value = {"a": {"x": 1, "b": [{"x": 2}]}, "x": 3, "**": {"x": 4}}
    assert masked_payload(value, decision(step("drop", "a", "**", "x"))) == {**value, "a": {"b": [{}]}}
    assert masked_payload(value, decision(step("drop", "**", "b", "*", "x")))["a"] == {"x": 1, "b": [{}]}
    assert masked_payload({"**": 1, "y": []}, decision(step("mask", "**"))) == {"**": "[masked]", "y": "[masked]"}


@settings(max_examples=60, deadline=None)
@given(JSON, st.sampled_from(["mask", "hash", "tokenize", "generalize"]), st.sampled_from([None, 1]))
def test_in_json_what_was_found_is_gone_and_nothing_else_changed(value, method, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    found = {f.pointer for f in scan_document(text.encode(), "application/json")}
    given_ = obligations_for(text, "application/json", method)
    after = masked_document(text.encode(), "application/json", given_, "t", KEYS)
    assert json.loads(after) == masked_payload(value, given_, "t", KEYS)
    # A year or a network is still found as one, and a member's name still says what it says.
    left = [f for f in scan_document(after, "application/json") if f.entity not in {"BIRTH_YEAR", "IP_ADDRESS"}]
    assert [f for f in left if method != "generalize" or f.reason != "name"] == []
    before_places, after_text = json_places(text), after.decode()
    after_places = {place.path: after_text[place.start : place.end] for place in json_places(after_text)}
    for place in before_places:
        pointer = "".join(f"/{s}" for s in place.path)
        if not any(f == pointer or f.startswith(pointer + "/") or pointer == "" for f in found):
            assert after_places[place.path] == text[place.start : place.end]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(TEXTS.map(lambda t: t.replace("\n", " ")), min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["text/csv", "text/plain"]),
)
def test_in_csv_and_text_what_was_found_is_gone_and_the_cells_stay(rows, content_type):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["id", "note", "more"], *rows])
    text = out.getvalue()
    after = masked_document(text.encode(), content_type, obligations_for(text, content_type)).decode()
    assert scan_document(after.encode(), content_type) == []
    if content_type == "text/csv":
        assert [len(row) for row in csv.reader(io.StringIO(after))] == [3] * (len(rows) + 1)
        assert after.startswith("id,note,more\n")


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_in_xml_what_was_found_is_gone_and_the_tree_stays(texts):
    root = ET.Element("people")
    for text in texts:
        ET.SubElement(root, "row", {"note": text}).text = text
    before = ET.tostring(root, encoding="unicode")
    after = masked_document(before.encode(), "application/xml", obligations_for(before, "application/xml"))
    assert scan_document(after, "application/xml") == []
    assert [child.tag for child in ET.fromstring(after)] == ["row"] * len(texts)


@pytest.mark.parametrize(
    ("before", "obligations", "after"),
    [
        ('{"a": 1,  "b": [1, 2 ,3]}', [step("drop", "a")], '{"b": [1, 2 ,3]}'),
        ('{"a": 1,  "b": [1, 2 ,3]}', [step("drop", "b")], '{"a": 1}'),
        ('{"a": 1, "b": 2, "c": 3}', [step("drop", "b"), step("drop", "c")], '{"a": 1}'),
        ('{"a": 1, "b": 2}', [step("drop", "*")], "{}"),
        ("[1, 2, 3]", [step("drop", "0"), step("drop", "1")], "[3]"),
        ('{"a": {"b": 1}, "c":\t2}', [step("drop", "a"), step("drop", "a", "b")], '{"c":\t2}'),
        ('{"a": {"b": 1}}', [step("mask", "a"), step("drop", "a", "b")], '{"a": "[masked]"}'),
        ('[{"m": "x"}, {"n": 1.50}]', [step("mask", "*", "m")], '[{"m": "[masked]"}, {"n": 1.50}]'),
        ('{"t": "call \\u0034711 now"}', [step("mask", "t", entity="X", span=[5, 9])], '{"t": "call **** now"}'),
        ('{"a": "x", "a": "y"}', [step("mask", "a")], '{"a": "[masked]", "a": "[masked]"}'),
    ],
)
def test_json_is_changed_where_it_is_named(before, obligations, after):
    assert masked_document(before.encode(), "application/json", decision(*obligations)).decode() == after


@pytest.mark.parametrize(
    ("content_type", "before", "obligation", "after"),
    [
        ("text/csv", "n,m\na,b\nc,d\n", step("mask", "*", "m"), "n,m\na,[masked]\nc,[masked]\n"),
        ("text/csv", "n,m\na,b\nc,d\n", step("drop", "2", "m"), "n,m\na,b\nc,\n"),
        ("application/xml", "<a x='1'>\n<b>t</b></a>", step("mask", "a", "0", "b"), "<a x='1'>\n<b>[masked]</b></a>"),
        ("application/xml", "<a x='1'>\n<b>t</b></a>", step("mask", "a", "0", "@x"), "<a x='[masked]'>\n<b>t</b></a>"),
        ("application/x-www-form-urlencoded", "a=1&b=2", step("mask", "b"), "a=1&b=[masked]"),
        ("text/plain", "call 4711", step("mask", entity="X", span=[5, 9]), "call ****"),
        ("text/plain", "anything", step("mask"), "[masked]"),
    ],
)
def test_other_formats_are_changed_where_they_are_named(content_type, before, obligation, after):
    assert masked_document(before.encode(), content_type, decision(obligation)).decode() == after


def test_several_values_in_one_text_go_and_overlapping_ones_are_masked_whole():
    one, two, three = (("mask", [0, 2]), ("tokenize", [4, 8]), ("hash", [6, 10]))
    both = decision(*(step(method, entity="E", span=span) for method, span in (one, two, three)))
    assert masked_payload("0123456789", both, "t", KEYS) == "***23******"


def test_a_method_that_needs_a_key_does_not_go_on_without_one():
    for method in ("hash", "tokenize"):
        with pytest.raises(InternalError, match="data key"):
            masked_payload({"a": "x"}, decision(step(method, "a", entity="E")))


@pytest.mark.parametrize("span", [[0, 99], [-1, 2], [3, 1]])
def test_a_span_outside_its_text_is_an_error_not_a_no_op(span):
    with pytest.raises(InternalError, match="characters"):
        masked_payload({"a": "short"}, decision(step("mask", "a", entity="E", span=span)))


@pytest.mark.parametrize("broken", [b"{", b'{"a": 1,}', b"[1 2]", b'"\x01"', b"\xff", b"nul", b"[" * 400, b""])
def test_a_broken_document_is_refused(broken):
    with pytest.raises(NotReadable):
        masked_document(broken, "application/json", decision(step("mask", "a")))


@settings(max_examples=60, deadline=None)
@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_every_value_of_a_json_text_is_found_where_it_stands(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    places = {place.path: json.loads(text[place.start : place.end]) for place in json_places(text)}
    assert places[()] == value


@pytest.mark.parametrize(
    ("entity", "text", "result"),
    [
        ("BIRTH_DATE", "1980-02-01", "1980"),
        ("BIRTH_DATE", "1.2.1980", "1980"),
        ("BIRTH_DATE", "19800201", "1980"),
        ("BIRTH_DATE", "1.2.80", "*.*.**"),
        ("GEO_LOCATION", "52.5200, 13.4050", "52.5, 13.4"),
        ("AGE", "37", "30-39"),
        ("POSTAL_CODE", "10115", "10***"),
        ("IP_ADDRESS", "192.0.2.17", "192.0.2.0/24"),
        ("IP_ADDRESS", "2001:db8::17", "2001:db8::/48"),
        ("GENDER", "female", "******"),
    ],
)
def test_coarser_values(entity, text, result):
    assert generalize(text, entity) == result


@pytest.mark.parametrize(
    ("entity", "text", "result"),
    [
        ("CREDIT_CARD", "4111 1111 1111 1234", "**** **** **** 1234"),
        ("PHONE_NUMBER", "+49 30 901820", "+** ** **1820"),
        ("EMAIL_ADDRESS", "ada@example.com", "***@*******.***"),
        ("US_SSN", "219-09-9999", "***-**-****"),
        ("X", "a", "***"),
        ("PHONE_NUMBER", "12345", "*****"),
    ],
)
def test_masks_keep_the_form_and_at_most_four_digits(entity, text, result):
    assert mask(text, entity) == result


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text("abc", min_size=1, max_size=3), st.text("xyz", min_size=1, max_size=3))
def test_a_token_turns_back_only_for_its_own_tenant_kind_and_key(text, tenant, entity):
    token = tokenize(text, entity, tenant, KEYS)
    assert token == tokenize(text, entity, tenant, KEYS)
    assert detokenize(token, entity, tenant, KEYS) == text
    for other in (
        (entity + "z", tenant, KEYS),
        (entity, tenant + "c", KEYS),
        (entity, tenant, Keys(bytes(64), bytes(32))),
    ):
        with pytest.raises(CallerError):
            detokenize(token, *other)
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    with pytest.raises(CallerError):
        detokenize(flipped, entity, tenant, KEYS)


def test_digests_join_within_a_tenant_and_not_across():
    assert digest("x", "E", "a", KEYS) == digest("x", "E", "a", KEYS)
    assert (
        len(
            {
                digest("x", "E", "a", KEYS),
                digest("x", "E", "b", KEYS),
                digest("x", "F", "a", KEYS),
                digest("y", "E", "a", KEYS),
            }
        )
        == 4
    )


def test_the_data_key_is_made_once_and_kept_from_others(tmp_path):
    keys = data_keys(tmp_path / "home")
    assert data_keys(tmp_path / "home") == keys
    path = tmp_path / "home" / "data.key"
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    with pytest.raises(DependencyError, match="read by others"):
        data_keys(tmp_path / "home")
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(DependencyError, match="5 bytes"):
        data_keys(tmp_path / "home")


def test_what_the_scanner_says_of_a_flow_can_be_carried_out_on_its_payload():
    """The spans of facts are those of the payload, for CSV as for JSON."""
    payload = "id,note\n1,write to ada@example.com\n"
    resource = {"app": "a", "content_type": "text/csv", "payload": payload}
    (fact,) = ScanFacts().facts(normalise_document({"kind": "data_flow", "resource": resource}, SRC))["pii"]
    assert fact["pointer"] == "/payload"
    obliged = decision(step("mask", entity=fact["entity"], span=fact["span"]))
    assert masked_payload(payload, obliged) == "id,note\n1,write to ***@*******.***\n"


def test_a_payload_that_is_refused_is_not_carried_on_in_any_form():
    """Even where the rule that denies it only warns: the obligation stands in the decision."""
    refused = decision(step("mask", "a", entity="EMAIL_ADDRESS"), step("refuse", "b", entity="CARD_SECURITY_CODE"))
    with pytest.raises(InternalError, match="from leaving"):
        masked_payload({"a": "ada@example.com", "b": "123"}, refused)
    with pytest.raises(InternalError, match="from leaving"):
        masked_document(b"a,b\n1,2\n", "text/csv", refused)
