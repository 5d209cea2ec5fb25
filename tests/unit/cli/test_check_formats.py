"""The same findings for people, for programs and for CI systems; baselines and waivers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.cli.samples import DOCKERFILE, PLAN, WAIVER, WORKFLOW

ROOT = Path(__file__).parents[3]
APP = (ROOT / "deploy" / "examples" / "where2eat" / "app.yaml").read_text()
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}


@pytest.fixture
def repository(tmp_path):
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "ci.yml").write_text(WORKFLOW)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "app.yaml").write_text(APP)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    return tmp_path


def sarif(cli, *argv, **env):
    (run,) = json.loads(cli("check", "--format", "sarif", *argv, **env).out)["runs"]
    return run


def fingerprints(run):
    return {(r["ruleId"], r["partialFingerprints"]["governance/v1"]) for r in run["results"]}


class TestSarif:
    def test_it_says_what_json_says(self, cli, repository):
        told = json.loads(cli("check", "--format", "json").out)
        expected = [
            (v["rule"], v["location"]["file"], v["location"]["line"]) for r in told["results"] for v in r["violations"]
        ]
        run = sarif(cli)
        places = [r["locations"][0]["physicalLocation"] for r in run["results"]]
        got = [
            (r["ruleId"], p["artifactLocation"]["uri"], p["region"]["startLine"])
            for r, p in zip(run["results"], places, strict=True)
        ]
        assert sorted(got) == sorted(expected)
        assert len(expected) > 20

    def test_every_result_names_a_rule_with_help_and_a_number_for_its_severity(self, cli, repository):
        run = sarif(cli)
        rules = run["tool"]["driver"]["rules"]
        for result in run["results"]:
            rule = rules[result["ruleIndex"]]
            assert rule["id"] == result["ruleId"]
            assert result["level"] == LEVELS[result["properties"]["severity"]]
        for rule in rules:
            assert rule["help"]["text"]
            assert rule["help"]["markdown"]
            assert 0 < float(rule["properties"]["security-severity"]) <= 10
        assert len({rule["id"] for rule in rules}) == len(rules)

    def test_the_document_has_the_members_that_the_standard_demands(self, cli, repository):
        """SARIF 2.1.0: sections 3.13 (log), 3.14 (run), 3.18-3.19 (tool, driver), 3.27 (result), 3.49 (rule)."""
        document = json.loads(cli("check", "--format", "sarif").out)
        assert set(document) == {"$schema", "version", "runs"}
        assert document["version"] == "2.1.0"
        (run,) = document["runs"]
        assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
        assert run["tool"]["driver"]["name"]
        for result in run["results"]:
            assert result["level"] in {"none", "note", "warning", "error"}
            assert result["message"]["text"]
            region = result["locations"][0]["physicalLocation"]["region"]
            assert region["startLine"] >= 1
            assert region["startColumn"] >= 1
            assert not re.search(
                r"[^A-Za-z0-9._~/%-]", result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            )

    def test_fingerprints_stay_when_lines_move(self, cli, repository):
        before = fingerprints(sarif(cli))
        (repository / "Dockerfile").write_text("# new\n\n" + DOCKERFILE.replace("ADD", "RUN make\nADD"))
        (repository / "app.yaml").write_text("# new\n" + APP)
        (repository / ".github/workflows/ci.yml").write_text(
            WORKFLOW.replace("    steps:\n", "    steps:\n      - run: make\n")
        )
        plan = {**PLAN, "resource_changes": [*reversed(PLAN["resource_changes"])]}
        (repository / "plan.json").write_text(json.dumps(plan, indent=2))
        assert fingerprints(sarif(cli)) == before

    def test_fingerprints_of_another_file_or_resource_are_others(self, cli, repository):
        before = fingerprints(sarif(cli))
        assert len(before) == len(sarif(cli)["results"])
        (repository / "Dockerfile").rename(repository / "Containerfile")
        (repository / "app.yaml").write_text(APP.replace("name: where2eat", "name: where2drink"))
        changed = {rule for rule, _ in before - fingerprints(sarif(cli))}
        assert {"IMG-001", "RUN-002", "EGR-004"} <= changed
        assert "INF-002" not in changed


class TestJunit:
    def test_each_rule_is_a_case_that_passes_or_fails(self, cli, repository):
        told = json.loads(cli("check", "--format", "json").out)["results"]
        suites = ET.fromstring(cli("check", "--format", "junit").out)
        assert len(suites) == len(told)
        for suite, result in zip(suites, told, strict=True):
            broken = {v["rule"] for v in result["violations"]}
            assert {case.get("name") for case in suite} == set(result["rules_evaluated"])
            assert {case.get("name") for case in suite if case.find("failure") is not None} == broken
            assert (suite.get("tests"), suite.get("failures")) == (str(len(suite)), str(len(broken)))

    def test_text_that_xml_cannot_hold_is_replaced(self, cli, tmp_path):
        (tmp_path / "Dockerfile").write_text("FROM a\nENV <&>\x01_TOKEN=x\nUSER app\n")
        suites = ET.fromstring(cli("check", "--format", "junit", "Dockerfile").out)
        assert "\ufffd_TOKEN" in suites[0].find("testcase[@name='IMG-004']/failure").text


def test_annotations_are_one_line_each_with_file_line_and_rule(cli, repository):
    out = cli("check", "--format", "github").out.splitlines()
    assert out[-1].startswith("4 checked against")
    for row in out[:-1]:
        assert re.fullmatch(r"::error file=[^,:]+,line=\d+,col=\d+,title=[A-Z]+-\d{3} [^:]*::.+%0Afix: .+", row)


class TestBaseline:
    def test_what_was_there_is_known_and_what_is_new_fails(self, cli, repository):
        written = cli("check", "--write-baseline", "base.json")
        assert (written.code, written.out) == (0, "")
        done = cli("check", "--baseline", "base.json")
        assert done.code == 0
        assert re.search(r": \d+ known\n$", done.out)
        (repository / "Dockerfile").write_text(DOCKERFILE.replace("USER 0", "USER 0\nADD https://files.example/y /y"))
        done = cli("check", "--baseline", "base.json")
        assert done.code == 1
        assert re.findall(r"^(\S+?): (\S+) deny ", done.out, re.MULTILINE) == [("Dockerfile:7:1", "IMG-005")]
        assert " 1 deny, " in done.out

    def test_a_second_mistake_of_the_same_sort_at_the_same_place_is_new(self, cli, tmp_path):
        (tmp_path / "Dockerfile").write_text("FROM registry.example.com/a\nUSER app\n")
        cli("check", "--write-baseline", "base.json")
        (tmp_path / "Dockerfile").write_text("FROM registry.example.com/a\nFROM registry.example.com/a\nUSER app\n")
        assert cli("check", "--baseline", "base.json", "Dockerfile").code == 1

    def test_the_same_mistake_in_another_file_is_new(self, cli, repository):
        cli("check", "--write-baseline", "base.json")
        (repository / "Dockerfile.dev").write_text(DOCKERFILE)
        assert cli("check", "--baseline", "base.json").code == 1

    def test_a_file_that_cannot_be_read_is_never_known(self, cli, tmp_path):
        (tmp_path / "Dockerfile").write_text("FETCH x\n")
        assert cli("check", "--write-baseline", "base.json").code == 1
        assert cli("check", "--baseline", "base.json").code == 1

    def test_sarif_says_which_are_new(self, cli, repository):
        cli("check", "--write-baseline", "base.json")
        (repository / "Dockerfile.dev").write_text(DOCKERFILE)
        states = {
            (r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "Dockerfile.dev", r["baselineState"])
            for r in sarif(cli, "--baseline", "base.json")["results"]
        }
        assert states == {(True, "new"), (False, "unchanged")}

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"version": 2, "findings": []}', '{"version": 1, "findings": [1]}']
    )
    def test_one_that_cannot_be_read_is_an_error(self, cli, repository, text):
        (repository / "base.txt").write_text(text)
        done = cli("check", "--baseline", "base.txt")
        assert (done.code, done.out) == (2, "")
        assert "base.txt" in done.err

    def test_one_that_is_not_there_is_an_error(self, cli, repository):
        assert cli("check", "--baseline", "absent.json").code == 2


class TestWaivers:
    @pytest.fixture
    def waived(self, tmp_path):
        (tmp_path / "Dockerfile").write_text("FROM registry.example.com/a\nUSER app\n")
        (tmp_path / "waivers").mkdir()
        (tmp_path / "waivers" / "w.yaml").write_text(WAIVER.replace("RUN-004", "IMG-001"))
        return {"GOVERNANCE_WAIVERS": str(tmp_path / "waivers")}

    def test_what_is_waived_for_the_app_passes_and_is_counted(self, cli, waived):
        assert cli("check", "Dockerfile", **waived).code == 1
        done = cli("check", "Dockerfile", "--app", "where2eat", **waived)
        assert done.code == 0
        assert "IMG-001 waived (high)" in done.out
        assert done.out.endswith(": 1 waived\n")

    def test_it_is_a_suppression_in_sarif_and_skipped_in_junit(self, cli, waived):
        (result,) = sarif(cli, "Dockerfile", "--app", "where2eat", **waived)["results"]
        assert result["suppressions"][0]["justification"] == "waiver old-image"
        out = cli("check", "--format", "junit", "Dockerfile", "--app=where2eat", **waived).out
        assert 'failures="0" errors="0" skipped="1"' in out


def test_a_rule_in_shadow_mode_is_shown_and_counted_and_fails_nothing(cli, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM registry.example.com/a\nUSER app\n")
    done = cli("check", "Dockerfile", GOVERNANCE_BUNDLE=str(shadowed(tmp_path)))
    assert done.code == 0
    assert "IMG-001 shadow (high)" in done.out
    assert done.out.endswith(": 1 shadowed\n")


def shadowed(tmp_path):
    """The rules for images with one of them in shadow mode."""
    pack = tmp_path / "images"
    for part in ("lib", "image_build", "data/platform"):
        shutil.copytree(ROOT / "rules" / part, pack / part)
    (pack / "data" / "platform" / "modes.yaml").write_text("rules: {IMG-001: {mode: shadow}}\n")
    return pack
