"""`governance check`: what pre-commit and CI see."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from governance.normalise.documents import read_documents

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
APP = (EXAMPLES / "app.yaml").read_text()
FIXED = (EXAMPLES / "app-fixed.yaml").read_text()
# Ten times ten, six times over.
ALIAS_BOMB = "a: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in pairwise("abcdefg")
)
BROKEN_RULES = ["DATA-007", "EGR-004", "OAUTH-002", "OAUTH-003", "RUN-002"]


def test_violations_come_with_file_line_column_rule_and_remedy(cli, tmp_path):
    (tmp_path / "app.yaml").write_text(APP)
    done = cli("check", "app.yaml")
    assert done.code == 1
    found = re.findall(r"^(\S+?):(\d+):(\d+): (\S+) deny \((\w+)\)", done.out, re.MULTILINE)
    assert [rule for *_, rule, _ in found] == BROKEN_RULES
    lines = APP.splitlines()
    places = {rule: lines[int(line) - 1][int(column) - 1 :] for _, line, column, rule, _ in found}
    assert places["RUN-002"].startswith("memoryMiB: 4096")
    assert places["EGR-004"].startswith("collect.lunch-stats.example")
    assert places["OAUTH-002"].startswith('"employees:write"')


def test_json_says_the_same_and_points_into_the_file(cli, tmp_path):
    (tmp_path / "app.json").write_text(json.dumps(read_documents(APP.encode(), "app.yaml")[0].value, indent=2))
    done = cli("check", "--format", "json", "app.json")
    (result,) = json.loads(done.out)["results"]
    assert sorted(v["rule"] for v in result["violations"]) == BROKEN_RULES
    text = (tmp_path / "app.json").read_text().splitlines()
    memory = next(v for v in result["violations"] if v["rule"] == "RUN-002")
    assert memory["path"] == "/spec/runtime/caps/memoryMiB"
    assert text[memory["location"]["line"] - 1].strip().startswith('"memoryMiB": 4096')
    assert memory["controls"]
    assert memory["fix"]


def test_a_clean_file_is_clean(cli):
    done = cli("check", str(EXAMPLES / "app-fixed.yaml"), str(EXAMPLES / "template.yaml"))
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"2 checked against \d+ rules, 0 skipped: no violations\n", done.out)


def test_standard_input_and_several_documents(cli):
    done = cli("check", "-", stdin=(FIXED + "\n---\n" + APP).encode())
    assert done.code == 1
    assert done.out.count("<stdin>:") == len(BROKEN_RULES)
    lines = [int(n) for n in re.findall(r"<stdin>:(\d+):", done.out)]
    assert min(lines) > len(FIXED.splitlines())


def test_a_folder_is_walked_and_foreign_files_are_skipped(cli, tmp_path):
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    (tmp_path / "a" / ".hidden" / "app.yaml").write_text(APP)
    (tmp_path / "a" / "good.yml").write_text(FIXED)
    (tmp_path / "a" / "chart.yaml").write_text("{{ if .Values.x }}\nnot: yaml: at: all\n")
    (tmp_path / "a" / "notes.txt").write_text(APP)
    (tmp_path / "a" / "other.json").write_text('{"kind": "Deployment"}')
    done = cli("check", "a")
    assert done.code == 0
    assert "1 checked" in done.out
    assert "2 skipped" in done.out


class TestNothingToDecideOnIsNeverClean:
    def test_an_empty_folder(self, cli):
        done = cli("check")
        assert (done.code, done.out) == (2, "")
        assert "0 rules evaluated" in done.err

    def test_a_file_that_is_not_there(self, cli):
        done = cli("check", "absent.yaml")
        assert done.code == 2
        assert "absent.yaml" in done.err

    @pytest.mark.parametrize("argv", [["--wrong"], ["--format", "xml"], ["--format"], ["--bundle"]])
    def test_an_option_that_is_none(self, cli, argv):
        assert cli("check", *argv).code == 2

    @pytest.mark.parametrize(
        "text",
        [
            FIXED.replace("kind: MicroApp", "kind: MicroApp\nkind: MicroApp"),
            FIXED.replace("audience: team", "audience: no"),
            FIXED.replace("audience: team", "<<: {audience: team}"),
            FIXED.replace("cpu: 0.5", "cpu: .nan"),
            FIXED + "\n  broken",
            ALIAS_BOMB + FIXED,
        ],
        ids=["duplicate key", "yaml 1.1 word", "merge key", "nan", "broken", "alias bomb"],
    )
    def test_a_manifest_that_two_readers_would_read_differently(self, cli, text):
        done = cli("check", "-", stdin=text.encode())
        assert done.code in {1, 2}
        assert "<stdin>" in done.err
        assert "no violations" not in done.out

    def test_a_manifest_over_the_limit(self, cli):
        done = cli("check", "-", stdin=FIXED.encode() + b"#" * 2000, GOVERNANCE_MAX_BODY_BYTES="2000")
        assert done.code in {1, 2}
        assert "more than 2000 bytes" in done.err


class TestAnotherBundle:
    def test_somebody_s_own_policy_leaves_our_answer_as_it_is(self, cli):
        done = cli(
            "check",
            "--bundle",
            f"v0:{ROOT / 'rules' / 'extras' / 'seed'}",
            "--format",
            "json",
            str(EXAMPLES / "app.yaml"),
        )
        (result,) = json.loads(done.out)["results"]
        assert sorted(v["rule"] for v in result["violations"]) == BROKEN_RULES

    def test_one_that_does_not_compile_is_named_with_its_line(self, cli, tmp_path):
        (tmp_path / "own.rego").write_text("package own\n\ndeny contains x if {\n\tx := no_such(1)\n}\n")
        done = cli("check", "--bundle", "own.rego", str(EXAMPLES / "app-fixed.yaml"))
        assert done.code == 2
        assert "own.rego:4" in done.err
        assert "no_such" in done.err

    def test_one_that_would_replace_our_data_is_refused(self, cli, tmp_path):
        (tmp_path / "own" / "platform" / "caps").mkdir(parents=True)
        (tmp_path / "own" / "platform" / "caps" / "data.json").write_text('{"limits": {"wasm": {"memoryMiB": 99999}}}')
        done = cli("check", "--bundle", "own", str(EXAMPLES / "app.yaml"))
        assert done.code == 2
        assert "both own" in done.err

    def test_one_that_adds_a_rule_to_our_packages_is_refused(self, cli, tmp_path):
        (tmp_path / "own.rego").write_text("package platform.main\n\ndeploy := {}\n")
        assert cli("check", "--bundle", "own.rego", str(EXAMPLES / "app.yaml")).code != 0


class TestFix:
    def test_every_violation_of_the_example_goes_and_the_comments_stay(self, cli, tmp_path):
        (tmp_path / "app.yaml").write_text(APP)
        done = cli("check", "--fix", "app.yaml")
        assert done.code == 0
        after = (tmp_path / "app.yaml").read_text()
        for comment in ("# Where2Eat, as a citizen developer", "# a year, to see what", "# just to be safe"):
            assert comment in after
        assert after.index("tenant:") < after.index("connectors:") < after.index("egress:")
        assert cli("check", "app.yaml").out.endswith("no violations\n")

    def test_only_lines_that_a_fix_names_change(self, cli, tmp_path):
        (tmp_path / "app.yaml").write_text(APP)
        cli("check", "--fix", "app.yaml")
        before, after = APP.splitlines(), (tmp_path / "app.yaml").read_text().splitlines()
        gone = [line for line in before if line not in after]
        assert len(gone) <= 5, gone

    def test_documents_of_one_file_are_each_fixed(self, cli, tmp_path):
        second = APP.replace("name: where2eat", "name: where2drink")
        (tmp_path / "apps.yaml").write_text(f"{APP}\n---\n{second}")
        assert cli("check", "--fix", "apps.yaml").code == 0
        assert (tmp_path / "apps.yaml").read_text().count("4096") == 0
        assert cli("check", "apps.yaml").code == 0

    def test_json_is_fixed_too(self, cli, tmp_path):
        (tmp_path / "app.json").write_text(json.dumps(read_documents(APP.encode(), "app.yaml")[0].value, indent=2))
        assert cli("check", "--fix", "app.json").code == 0
        assert json.loads((tmp_path / "app.json").read_text())["spec"]["runtime"]["caps"]["memoryMiB"] == 512

    def test_standard_input_cannot_be_fixed_and_no_file_of_its_name_is_written(self, cli, tmp_path):
        (tmp_path / "app.yaml").write_text(FIXED)
        assert cli("check", "--fix", "--filename", "app.yaml", "-", stdin=APP.encode()).code == 2
        assert (tmp_path / "app.yaml").read_text() == FIXED

    def test_what_no_fix_mends_stays_refused_and_the_file_untouched(self, cli, tmp_path):
        text = FIXED.replace("costCenter: MK-42", "costCenter: nobody")
        (tmp_path / "app.yaml").write_text(text)
        assert cli("check", "--fix", "app.yaml").code == 1
        assert (tmp_path / "app.yaml").read_text() == text

    def test_the_file_keeps_its_mode(self, cli, tmp_path):
        file = tmp_path / "app.yaml"
        file.write_text(APP)
        file.chmod(0o640)
        cli("check", "--fix", "app.yaml")
        assert file.stat().st_mode & 0o777 == 0o640
