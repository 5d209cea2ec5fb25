"""Impact analysis on a real log: what it says changes is what the candidate itself decides, and a mask is not guessed at."""

from __future__ import annotations

import json
import shutil

import pytest

from audit.log import AuditLog
from audit.reader import LogReader
from audit.store import Filter
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.impact.analysis import analyse, job_of, sides_from
from governance.platform.impact.compare import compare
from governance.platform.impact.recorded import is_read, recorded_of
from governance.platform.impact.report import as_html, as_json, as_text
from governance.policy.active import activated
from governance.policy.build import build, rules_of
from governance.policy.bundle import load_bundle
from governance.policy.decide import Moment, decide
from governance.policy.fingerprints import prints_of, read_prints
from governance.settings import Settings
from governance.wiring import parts_for

ORIGIN = "test/audit"
SECRET = "AKIA" + "IOSFODNN7EXAMPLE"
STATE, PURPOSE, SIZE = "lifecycle/state.rego", "flow/purpose.rego", "flow/size.rego"
DENY = 'deny contains v if {\n\t%s\n\tv := {"path": ["resource"], "message": "m"}\n}\n\n'


def rule(rule_id, package, kinds, condition):
    return (
        f"# METADATA\n# title: t\n# description: d\n# custom:\n#   id: {rule_id}\n#   severity: high\n#   applies_to: {kinds}\n"
        f"#   controls: [A.1]\n#   remediation: r\npackage platform.rules.{package}\n\nimport data.platform.lib.part\n\n"
        + DENY
        % condition
    )


FILES = {
    STATE: rule("LIFE-001", "lifecycle.state", "[lifecycle]", 'not part.at(["resource", "state"]) in data.platform.states'),
    PURPOSE: rule("FLOW-001", "flow.purpose", "[data_flow]", 'part.at(["resource", "purpose"]) == ""'),
    SIZE: rule("FLOW-002", "flow.size", "[data_flow, lifecycle]", 'part.at(["resource", "huge"]) == true'),
    "lib/part.rego": 'package platform.lib.part\n\nat(path) := object.get(input, path, "")\n',
    "obligations/region.rego": "# METADATA\n# title: t\n# custom:\n#   type: residency\n#   applies_to: [data_flow]\n"
    'package platform.obligations.region\n\noblige contains v if v := "eu"\n',
    "data/platform/states.yaml": "[idle]\n",
}  # fmt: skip


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pack") / "base", FILES)


@pytest.fixture(scope="module")
def base(pack):
    return build(str(pack), [])


def flow(**changed):
    resource = {
        "app": "lunch",
        "source": "form",
        "destination": {"connector": "chat"},
        "purpose": "p",
        "payload": {},
        **changed,
    }
    return {"kind": "data_flow", "resource": resource, "tenant": "hr"}


def lifecycle(state, app="lunch"):
    return {"kind": "lifecycle", "resource": {"app": app, "state": state}, "tenant": "hr"}


@pytest.fixture(scope="module")
def home(tmp_path_factory, base):
    """Six decisions: allowed and refused, two of them with something masked."""
    place = tmp_path_factory.mktemp("impact") / "home"
    active, source = activated(base), Source("test", "ann", ("service",))
    requests = [
        lifecycle("idle"), lifecycle("gone", "other"), flow(), flow(purpose=""), flow(payload={"note": SECRET}),
        flow(headers={"Authorization": "abc"}),
    ]  # fmt: skip
    with AuditLog(place, origin=ORIGIN) as log:
        line = Pipeline(
            parts_for(Settings({"home": str(place)}), lambda: active)._replace(recorder=LogRecorder(log, 30))
        )
        effects = [line.decide(normalise_document(request, source)).effect for request in requests]
    assert effects == ["allow", "deny", "allow", "deny", "allow", "allow"]
    return place


@pytest.fixture
def job(home, base, pack, tmp_path):
    """`job({file: text or None})`: the comparison with the pack changed in these files."""

    def make(changes, *, full=False):
        folder = tmp_path / f"candidate{len(list(tmp_path.iterdir()))}"
        shutil.copytree(pack, folder)
        write(folder, {name: text for name, text in changes.items() if text is not None})
        for name in [name for name, text in changes.items() if text is None]:
            (folder / name).unlink()
        return job_of(base, str(folder), [], b"", home=home, origin=ORIGIN, full=full)

    return make


def records(home):
    reader = LogReader(home, origin=ORIGIN)
    found = [recorded_of(reader.record(index)) for index in reader.search(Filter(), newest_first=False)]
    reader.close()
    return [row for row in found if row is not None]


def analysed(job, wanted=None, cores=1):
    return analyse(job, wanted or Filter(), cores, lambda *_: None)


def test_the_same_bundle_changes_nothing_and_asks_nothing(job):
    same = job({})
    assert same.changed == frozenset()
    assert analysed(same).counts == {"untouched": 6}


CHANGES = [
    {SIZE: FILES[SIZE] + DENY % "true"},
    {STATE: None},
    {PURPOSE: None},
    {PURPOSE: FILES[PURPOSE].replace('== ""', '== "p"')},
    {"data/platform/states.yaml": "[idle, gone]\n"},
    {"data/platform/modes.yaml": 'rules: {FLOW-001: {mode: warn, since: "2026-01-01T00:00:00Z"}}\n'},
    {"obligations/region.rego": FILES["obligations/region.rego"].replace("eu", "us")},
    {"obligations/region.rego": None, STATE: None},
    {"lib/part.rego": FILES["lib/part.rego"].replace(', "")', ', "p")')},
    {SIZE: FILES[SIZE] + DENY % "to_number(input.kind) == 1"},
]


@pytest.mark.parametrize("changes", CHANGES, ids=" ".join)
def test_what_is_reported_is_what_the_whole_candidate_decides(home, job, changes):
    for full in (False, True):
        compared = job(changes, full=full)
        sides = sides_from(compared)
        for recorded in records(home):
            change = compare(recorded, sides)
            if change.outcome == "not_comparable":
                assert recorded.masked
                continue
            moment = Moment(recorded.time, recorded.decision_id)
            whole = decide(sides.whole, recorded.request, recorded.facts, moment).decision
            is_yes = {"before": recorded.effect in {"allow", "warn"}, "after": whole.effect in {"allow", "warn"}}
            expected = {(True, False): "newly_denied", (False, True): "newly_allowed"}.get(
                (is_yes["before"], is_yes["after"])
            )
            assert (change.outcome if expected else "") == (expected or ""), (recorded.request.resource, change)
            if change.outcome != "untouched":
                assert change.becomes == whole.effect
            elif not expected:
                assert recorded.effect == whole.effect


@pytest.mark.parametrize(
    ("changes", "changed", "counts"),
    [
        (CHANGES[0], {"FLOW-002"}, {"newly_denied": 4, "other": 2}),
        (CHANGES[1], {"LIFE-001"}, {"newly_allowed": 1, "same": 1, "untouched": 4}),
        (CHANGES[4], {"LIFE-001"}, {"newly_allowed": 1, "same": 1, "untouched": 4}),
        (CHANGES[5], {"FLOW-001"}, {"newly_allowed": 1, "same": 3, "untouched": 2}),
        (CHANGES[6], {"region"}, {"obligations": 3, "same": 1, "untouched": 2}),
        (CHANGES[8], {"LIFE-001", "FLOW-001", "FLOW-002"}, {"same": 6}),
        (CHANGES[9], {"FLOW-002"}, {"newly_denied": 4, "other": 2}),
    ],
)
def test_only_what_changed_is_asked_and_counted(job, changes, changed, counts):
    report = analysed(job(changes))
    assert (set(report.changed_rules), report.counts) == (changed, counts)
    for outcome, group in report.by["rule"].items():
        # A candidate that gives no answer has lost what the other rules said as well.
        assert outcome == "other" or set(group) <= changed


def test_all_cores_give_the_same_report(job):
    one, two = (analysed(job(CHANGES[0]), cores=cores) for cores in (1, 2))
    assert (one.counts, one.by) == (two.counts, two.by)
    assert one.by["app"]["newly_denied"] == {"lunch": 4}
    assert analysed(job(CHANGES[1]), Filter(app="other")).counts == {"newly_allowed": 1}


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ('input.resource.payload.note == "x"', 1),
        ('input.resource.headers.Authorization == "x"', 1),
        ("count(input.resource) == 0", 2),
        ("count(input) == 0", 2),
        ('some key; input.resource[key] == "x"', 2),
        ('object.get(input, ["resource", "payload", "note"], "") == "x"', 1),
        ('part.at(["resource", "headers"]) == "x"', 1),
        ('walk(input, [_, "x"])', 2),
        ('input.resource.purpose == "x"', 0),
    ],
)
def test_a_masked_place_that_a_changed_rule_reads_is_not_guessed_at(job, condition, kept):
    report = analysed(job({PURPOSE: FILES[PURPOSE] + DENY % condition}))
    assert report.counts.get("not_comparable", 0) == kept


def test_a_record_of_another_revision_is_decided_by_both(home, job, base):
    compared = job(CHANGES[1])
    other = compared._replace(base=base.replace(activated(base).revision.encode(), b"sha256:" + b"0" * 64))
    assert analysed(other).counts == {"newly_allowed": 1, "same": 1, "untouched": 4}


def test_waivers_go_on_as_they_were_recorded(home, job):
    sides = sides_from(job(CHANGES[4] | {SIZE: FILES[SIZE] + DENY % 'input.resource.state == "idle"'}))
    recorded = next(row for row in records(home) if row.request.kind == "lifecycle" and row.effect == "allow")
    assert compare(recorded, sides).outcome == "newly_denied"
    excused = [{"rule": "FLOW-002", "path": "/resource", "effect": "allow", "waived_by": "w"}]
    assert compare(recorded._replace(violations=excused), sides).becomes == "allow"


def test_the_report_in_three_forms(job):
    heard = []
    report = analyse(job(CHANGES[0]), Filter(), 1, lambda *at: heard.append(at))
    assert heard[-1] == (6, 6)
    assert json.loads(as_json(report))["counts"] == report.counts
    assert "4 newly denied" in as_text(report)
    evil = report._replace(examples=[{**row, "app": "<script>alert(1)</script>"} for row in report.examples])
    page = as_html(evil)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("places", "reads", "expected"),
    [
        ((("resource", "a"),), {("resource",)}, True),
        ((("resource",),), {("resource", "a", "b")}, True),
        ((("resource", "a"),), {("resource", "b")}, False),
        (((),), {("app",)}, True),
        ((("app",),), {()}, True),
        ((), {()}, False),
    ],
)
def test_a_place_is_read_by_what_lies_around_it_and_in_it(places, reads, expected):
    assert is_read(places, frozenset(reads)) is expected


def test_a_record_that_is_not_what_was_decided_on_is_no_ground_to_guess(home):
    reader = LogReader(home, origin=ORIGIN)
    record = reader.record(0)
    reader.close()
    assert recorded_of(record).masked == ()
    record["opened"]["input"]["resource"]["more"] = 1
    assert recorded_of(record).masked == ((),)
    del record["opened"]["facts"]
    assert recorded_of(record) is None


def test_what_a_rule_reads_is_found_through_libraries(base):
    prints = read_prints(activated(base).prints)
    assert prints["LIFE-001"].reads == (("resource", "state"),)
    assert prints["FLOW-001"].reads == (("resource", "purpose"),)


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ('part.at(["resource", input.which]) == "x"', {("resource",), ("which",)}),
        ('part.two(["a"], ["b", "c"]) == "x"', {("a",), ("b", "c")}),
        ('part.hides(["a"]) == "x"', {()}),
        ('part.passes(["a"]) == "x"', {()}),
        ('some p in [["a"]]; part.at(p) == "x"', {()}),
        ('x := input; x.a == "x"', {()}),
        ('x := input.a; x.b == "x"', {("a",)}),
        ('{k | some k, _ in input.a} == {"x"}', {("a",)}),
        ("every v in input.a { v == input.b }", {("a",), ("b",)}),
        ('data.platform.lib.other.whole == "x"', {("deep", "er")}),
        ('data.platform.lib[_].whole == "x"', {("deep", "er")}),
    ],
)
def test_reads_err_on_the_side_of_too_much(tmp_path, condition, reads):
    functions = {
        "two": 'two(p, _) := object.get(input, p, "")\n\ntwo(_, q) := object.get(input, q, "")\n',
        "passes": "passes(p) := at(p)\n",
        "hides": 'hides(p) := [x | some p in [["secret"]]; x := object.get(input, p, "")]\n',
    }
    library = FILES["lib/part.rego"] + "\n".join(
        text for name, text in functions.items() if f"part.{name}" in condition
    )
    other = "package platform.lib.other\n\nwhole := input.deep.er\n"
    text = FILES[PURPOSE].replace('part.at(["resource", "purpose"]) == ""', condition)
    folder = write(tmp_path / "pack", {PURPOSE: text, "lib/part.rego": library, "lib/other.rego": other})
    bundle = load_bundle(str(folder))
    assert set(read_prints(prints_of([bundle], rules_of(bundle), {}))["FLOW-001"].reads) == reads
