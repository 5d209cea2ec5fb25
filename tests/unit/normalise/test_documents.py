"""Text to values: whatever two readers would read differently is refused, and nothing takes the reader down."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import CallerError, TooLarge
from governance.normalise.documents import check_value, decoded, read_documents, read_json
from governance.normalise.positions import position_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES)
def test_json_reads_back_as_it_was_written(value):
    assert read_json(json.dumps(value), "f.json") == value


@given(st.dictionaries(st.text("abcxyz", min_size=1), JSON_VALUES, min_size=1, max_size=4))
def test_yaml_reads_as_the_other_reader_reads_it_or_is_refused(value):
    """PyYAML is YAML 1.1, ours 1.2: where both accept, they agree."""
    text = yaml.safe_dump(value, allow_unicode=True)
    try:
        (document,) = read_documents(text.encode(), "f.yaml")
    except CallerError:
        return
    assert document.value == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "On", "off", "y", "N", "012", "0o14", "1:30", "190:20:30.15", "1_000", "0b11", "-0b1"],
)
@pytest.mark.parametrize("place", ["a: {}\n", "a: [{}]\n", "- {}\n", "a:\n  - x\n  - {}\n", "a: {{b: {}}}\n"])
def test_a_word_that_yaml_1_1_reads_differently_has_to_be_quoted(text, place):
    with pytest.raises(CallerError, match="read differently by different tools") as caught:
        read_documents(place.format(text).encode(), "f.yaml")
    assert caught.value.where.startswith("f.yaml:")
    (quoted,) = read_documents(place.format(f'"{text}"').encode(), "f.yaml")
    assert text in json.dumps(quoted.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: it is on\n",
        "# no\na: 1\n",
        "a: 'no'\n",
        "a: |\n  no\n",
        "a: nobody\n",
        "a: 2026-01-01\n",
        "a: 10\n",
        "a: on-call\n",
    ],
)
def test_the_same_letters_elsewhere_are_fine(text):
    assert len(read_documents(text.encode(), "f.yaml")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": {"b": 1, "b": 1}}', "stands twice"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "Infinity is not JSON"),
        ('{"a": 1e400}', "NaN or an infinity"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('{"a": 1}x', "not JSON"),
        ('{"a": 01}', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1,}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_json_that_is_not_one_thing_is_refused(text, words):
    with pytest.raises(CallerError, match=words):
        read_json(text, "f.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!str 5\n", "tag"),
        ("a: !!binary aGk=\n", "tag"),
        ("a: !x {b: 1}\n", "tag"),
        ("a: 1\na: 2\n", "a"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "merge"),
        ("1: a\n", "not text"),
        ("? [a]\n: b\n", r"f\.yaml"),
        ("a: .nan\n", "NaN"),
        ("a: -.inf\n", "infinity"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("a: [1, 2\n", "not YAML"),
        ("\ta: 1\n", "not YAML"),
    ],
)
def test_yaml_that_is_not_one_thing_is_refused(text, words):
    with pytest.raises(CallerError, match=words):
        read_documents(text.encode(), "f.yaml")


@pytest.mark.parametrize("raw", [b"\xff\xfea\x00", b"a: \x80", b"\xed\xa0\x80", b"a: 1\x00"])
def test_text_that_is_not_utf_8_or_holds_nul_is_refused(raw):
    with pytest.raises(CallerError):
        decoded(raw, "f.yaml")


@pytest.mark.parametrize("opening", ["[", '{"a":', "- ", "a: {b: "])
def test_depth_is_an_error_and_never_a_crash(opening):
    closing = {"[": "]", '{"a":': "}", "a: {b: ": "}"}.get(opening, "")
    with pytest.raises(CallerError):
        read_documents((opening * 5000 + "1" + closing * 5000).encode(), "f.yaml")
    with pytest.raises(TooLarge):
        read_json("[" * 65 + "]" * 65, "f.json")
    assert read_json("[" * 64 + "]" * 64, "f.json") is not None


def test_aliases_that_explode_are_counted_not_unfolded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(CallerError):
        read_documents("\n".join(lines).encode(), "f.yaml")


def test_a_large_number_of_values_is_refused():
    with pytest.raises(TooLarge):
        check_value([[0] * 1000] * 101, "f.json")


def test_a_byte_order_mark_and_empty_documents_are_left_out():
    documents = read_documents("\ufeffa: 1\n---\n---\nb: 2\n".encode(), "f.yaml")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/spec/list/1", (4, 7)),
        ("/spec/flow/b", (5, 16)),
        ("/spec/absent/x", (2, 1)),
        ("/a~1b", (6, 1)),
        ("", (1, 1)),
        ("/spec/list/9", (3, 3)),
    ],
)
def test_positions_point_at_keys_items_and_what_is_nearest(pointer, place):
    text = "kind: X\nspec:\n  list: [a,\n      b]\n  flow: {a: 1, b: 2}\na/b: 1\n"
    (document,) = read_documents(text.encode(), "f.yaml")
    assert position_of(document, pointer) == place


def test_positions_in_the_second_document_count_from_the_file_s_start():
    first, second = read_documents(b"a: 1\n---\nb:\n  c: 2\n", "f.yaml")
    assert position_of(second, "/b/c") == (4, 3)
    assert position_of(first, "/a") == (1, 1)
