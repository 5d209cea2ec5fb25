"""Dockerfiles as rules read them: what the builder would do, and no instruction hidden from a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import CallerError
from governance.normalise.dockerfile import parsed, place_in

BASE = "FROM alpine\n"


def instructions(text):
    return parsed(text, "Dockerfile").resource["instructions"]


def last_user(text):
    return parsed(text, "Dockerfile").resource["stages"][-1].get("user", {}).get("value")


class TestLines:
    def test_continuation_lines_are_joined_and_comments_between_them_left_out(self):
        (_, run) = instructions(BASE + "RUN a \\\n  # why\n\n  && b\\\n && c\n")
        assert run["text"].split() == ["a", "&&", "b", "&&", "c"]

    def test_another_escape_character_continues_lines_and_the_usual_one_does_not(self):
        found = instructions("# escape=`\nFROM alpine\nRUN dir C:\\\nRUN a `\n b\n")
        assert [entry["text"] for entry in found[1:]] == ["dir C:\\", "a  b"]

    def test_a_directive_below_a_comment_is_a_comment(self):
        assert len(instructions("# hello\n# escape=`\nFROM alpine\nRUN a `\nRUN b\n")) == 3

    def test_an_escaped_backslash_at_the_end_continues_nothing(self):
        assert len(instructions(BASE + "RUN a \\\\\nUSER app\n")) == 3

    def test_windows_line_ends_and_a_missing_last_one(self):
        assert [e["name"] for e in instructions("FROM alpine\r\nRUN a \\\r\n b\r\nUSER app")] == ["FROM", "RUN", "USER"]

    def test_every_instruction_has_its_line_and_column(self):
        read = parsed("# x\n\nFROM alpine\n  RUN a \\\n b\nUSER app\n", "Dockerfile")
        assert read.lines == ((3, 1), (4, 3), (6, 1))
        assert place_in(read.lines, read.resource, ["stages", "0", "image"]) == (3, 1)
        assert place_in(read.lines, read.resource, ["instructions", "1", "text"]) == (4, 3)
        assert place_in(read.lines, read.resource, ["stages", "7"]) == (1, 1)


class TestHereDocuments:
    def test_its_lines_are_no_instructions(self):
        found = instructions(BASE + 'RUN <<EOF\nUSER root\nEOF\nRUN <<-"A" cat <<B\n\tx\n\tA\ny\nB\nUSER app\n')
        assert [entry["name"] for entry in found] == ["FROM", "RUN", "RUN", "USER"]
        assert found[2]["heredocs"] == ["x", "y"]

    @pytest.mark.parametrize(
        "opening", ['echo "a <<EOF b"', "echo 'a <<EOF b'", "echo \\<<EOF", "cat<<EOF", "cat <<<EOF"]
    )
    def test_what_only_looks_like_one_hides_no_instruction(self, opening):
        text = BASE + f"USER app\nRUN {opening}\nUSER root\nRUN true || \\\nEOF\n"
        assert last_user(text) == "root"

    @pytest.mark.parametrize("text", ["RUN <<EOF\na\n", 'RUN echo "a <<EOF\nEOF\n'])
    def test_one_without_an_end_is_refused(self, text):
        with pytest.raises(CallerError) as caught:
            parsed(BASE + text, "Dockerfile")
        assert caught.value.where == "Dockerfile:2"


class TestStages:
    def test_defaults_of_arguments_are_filled_in(self):
        text = "ARG REGISTRY=registry.example.com\nARG TAG\nFROM ${REGISTRY}/a:${TAG:-1} AS build\nFROM $NONE\n"
        images = [stage["image"] for stage in parsed(text, "Dockerfile").resource["stages"]]
        assert images == ["registry.example.com/a:1", "$NONE"]

    def test_a_stage_on_an_earlier_one_has_its_user(self):
        read = parsed("FROM a AS Build\nUSER app\nFROM build\nFROM build AS c\nUSER 0\n", "Dockerfile").resource
        assert [stage["from_stage"] for stage in read["stages"]] == [None, 0, 0]
        assert [stage["user"]["value"] for stage in read["stages"]] == ["app", "app", "0"]

    def test_a_stage_that_comes_later_is_no_stage_yet(self):
        assert parsed("FROM build\nFROM a AS build\n", "Dockerfile").resource["stages"][0]["from_stage"] is None

    def test_what_a_later_build_does_is_not_done_in_this_one(self):
        assert last_user(BASE + "USER root\nONBUILD USER app\n") == "root"

    @pytest.mark.parametrize("written", ['"root"', "r'oo't", "ro\\ot"])
    def test_quotes_do_not_make_another_user(self, written):
        assert last_user(BASE + f"USER {written}\n") == "root"

    def test_a_user_from_a_variable_is_that_of_the_stage(self):
        assert last_user(BASE + "ENV WHO=app\nUSER ${WHO}\n") == "app"
        assert last_user("FROM a AS b\nENV WHO=root\nFROM b\nUSER ${WHO:-app}\n") == "root"
        assert last_user("FROM a AS b\nARG WHO=root\nFROM b\nUSER ${WHO:-app}\n") == "app"
        assert last_user(BASE + "USER ${WHO}\n") == "${WHO}"
        assert last_user("ARG WHO=root\nFROM a\nARG WHO\nUSER ${WHO:-app}\n") == "root"

    def test_images_that_files_come_from(self):
        text = "FROM a AS b\nFROM c\nCOPY --from=b /x /y\nCOPY --from=0 /x /y\nCOPY --from=tool:1 /x /y\n"
        text += "RUN --mount=type=bind,from=other,source=/ true\nONBUILD COPY --from=late /x /y\n"
        images = parsed(text, "Dockerfile").resource["images"]
        assert [image["image"] for image in images] == ["tool:1", "other", "late"]

    @pytest.mark.parametrize(
        "copy",
        [
            "RUN --mount=type=bind,FROM=evil:1,target=/x true", 'RUN --mount=type=bind,"from=evil:1",target=/x true',
            "RUN --mount=type=bind,fr\\om=evil:1 true",
            'RUN --mount=type=bind,\\"from=evil:1\\",target=/x true',
            'COPY --fr"om"=evil:1 /a /b', "COPY --fr\\om=evil:1 /a /b",
            "COPY '--from=evil:1' /a /b", "COPY --link --from='evil':1 /a /b", 'COPY "--from"="evil:1" /a /b',
        ],
    )  # fmt: skip
    def test_images_that_files_come_from_are_found_however_they_are_quoted(self, copy):
        """A flag has to begin with its dashes: what begins with a quote is a source, and no builder reads a flag there."""
        read = parsed("FROM a\n" + copy, "Dockerfile").resource
        found = [image["image"] for image in read["images"]]
        assert found == ([] if copy.startswith(("COPY '", 'COPY "')) else ["evil:1"])

    @pytest.mark.parametrize(
        "run", ['RUN --network=h"ost" true', "RUN --network=h\\ost true", "RUN --net'work'=host true"]
    )
    def test_a_flag_is_what_the_builder_makes_of_it(self, run):
        assert instructions("FROM a\n" + run)[1]["flags"] == {"network": ["host"]}

    @pytest.mark.parametrize(
        ("top", "expected"),
        [
            ("# syntax=evil/frontend:1\n", "evil/frontend:1"), ("#syntax = evil/frontend:1 --x\n", "evil/frontend:1"),
            ("#!/bin/x\n# SYNTAX=evil/frontend:1\n", "evil/frontend:1"), ("\ufeff# syntax=e\n", "e"),
            ("# escape=`\n# check=skip=all\n# syntax=e\n", "e"), ("# words\n# syntax=e\n", "e"),
            ("# no syntax\n", None), ("", None),
        ],
    )  # fmt: skip
    def test_who_reads_the_file_is_said_at_its_top(self, top, expected):
        assert parsed(top + "FROM a\n# syntax=late\n", "Dockerfile").resource.get("frontend") == expected


class TestVariables:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ENV A=b C='d e' F=g\\ h", {"A": "b", "C": "d e", "F": "g\\ h"}),
            ("ENV A some = value", {"A": "some = value"}),
            ("ARG A B=c", {"A": None, "B": "c"}),
            ('ARG "A"=x', None),
            ("ENV A=", {"A": ""}),
        ],
    )
    def test_every_form(self, text, expected):
        if expected is None:
            with pytest.raises(CallerError):
                parsed(BASE + text, "Dockerfile")
        else:
            assert instructions(BASE + text)[1]["variables"] == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# only a comment\n", 1),
        ("RUN a\nFROM b\n", 1),
        (BASE + "\nFETCH x\n", 3),
        (BASE + "RUN\n", 2),
        (BASE + 'COPY --fr"om=a /x /y\n', 2),
        (BASE + 'RUN --mount=type=bind,\\"from=a\\"b true\n', 2),
        ("//syntax=evil\n" + BASE, 1),
        (BASE + "ENV A\n", 2),
        (BASE + 'ENV A="b\n', 2),
        ("FROM a b\n", 1),
        ("FROM a AS\n", 1),
        (BASE + "ONBUILD FROM a\n", 2),
        (BASE + "ONBUILD ONBUILD RUN a\n", 2),
        ("# escape=x\nFROM a\n", 1),
        ("# escape=`\n# escape=\\\nFROM a\n", 2),
        ("FROM a\n" * 2001, 2001),
    ],
)
def test_what_a_builder_would_refuse_is_refused_with_its_line(text, line):
    with pytest.raises(CallerError) as caught:
        parsed(text, "Dockerfile")
    assert caught.value.where == f"Dockerfile:{line}"


PIECES = st.sampled_from(
    ["FROM a", "FROM b AS c", "RUN x", "USER app", "ENV A=b", "ARG C", "\\", "\\\\", "`", "<<EOF", "EOF", '"', "'", "\n", " ",
     "#", "\t", "--from=x", "[", "$", "${A", "}", "=", "ONBUILD", "COPY", "\r\n", "\u00e9"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_read_or_refused_and_every_place_lies_in_it(text):
    try:
        read = parsed(text, "Dockerfile")
    except CallerError:
        return
    rows = text.replace("\r\n", "\n").split("\n")
    assert len(read.lines) == len(read.resource["instructions"])
    for (line, column), entry in zip(read.lines, read.resource["instructions"], strict=True):
        word = "ONBUILD" if entry.get("onbuild") else entry["name"]
        written = rows[line - 1][column - 1 :].upper()
        assert written.startswith(word) or written.rstrip().endswith(("\\", "`"))


@given(st.lists(st.sampled_from(["app", "root", "0", "nobody:grp"]), min_size=1, max_size=5), st.booleans())
def test_the_last_user_counts_however_the_lines_are_broken(users, is_broken):
    gap = "\\\n  " if is_broken else ""
    text = BASE + "".join(f"USER {gap}{user}\nRUN a\n" for user in users)
    assert last_user(text) == users[-1]
