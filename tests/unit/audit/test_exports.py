"""What an export is made of: views, the proof for many leaves, and going on after an interruption."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import re
import signal
import subprocess
import sys
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import AuditError
from audit.exports.package import FORMATS, Doing, Wanted, export
from audit.exports.pdf_report import write as write_pdf
from audit.exports.standalone import standalone
from audit.exports.views import VIEWS, Context
from audit.exports.xlsx_view import write as write_xlsx
from audit.log import AuditLog
from audit.multiproof import Rebuilt, blocks, rebuild
from audit.notes import parse_verifier_key
from audit.reader import LogReader
from audit.record import Entry
from audit.sealed_texts import Opening, joined, parsed, split
from audit.store import Filter
from audit.tree import Frontier, leaf_hash
from audit.verify import verify_package
from audit.walk import Record
from tests.unit.audit.packages_made import CREATED, ORIGIN, entry, verified

ROOT = Path(__file__).parents[3]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", '=HYPERLINK("http://x","y")']


def decided(number: int, **more) -> Entry:
    """A record as the line writes it."""
    public = {
        "decision_id": f"01a2-{number}", "app": f"app{number % 3}", "tenant": "hr", "actor": "key:1", "effect": "deny",
        "entry_point": "http.decisions", "action": "create", "rules": ["CONN-001"], "waivers": [], "error": None,
        "revision": "sha256:" + "ab" * 32, "input_digest": "sha256:" + "cd" * 32, "trace_id": "", **more,
    }  # fmt: skip
    violation = {
        "rule": "CONN-001", "mode": "enforce", "effect": "deny", "severity": "high", "path": "/spec", "message": "no",
        "waived_by": None, "controls": ["SOC2:CC9.2", "ISO-27001:A.5.19"],
    }  # fmt: skip
    waived = {**violation, "effect": "allow", "waived_by": "w1", "controls": ["GDPR:Art.32"]}
    answer = {"reason": FORMULAS[number % len(FORMULAS)], "violations": [violation, waived], "waivers": []}
    return Entry(
        "deploy", f"2026-03-0{number % 9 + 1}T10:00:00Z", public, {"input": {"n": number}, "answer": answer}, "s"
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """One export in every format."""
    folder = tmp_path_factory.mktemp("views")
    with AuditLog(folder / "home", origin=ORIGIN) as log:
        for number in range(20):
            log.append(decided(number))
        log.append(decided(20, effect="allow", rules=[], app="=evil()", actor="\x1b[2J\u202e<b>"))
        log.append(Entry("export", "2026-03-09T10:00:00Z", {"actor": "os:0", "effect": "allow", "rules": []}, {}))
        controls = {"CONN-001": ["SOC2:CC9.2"], "DATA-001": ["GDPR:Art.5"]}
        export(log.reader, Wanted(Filter(), FORMATS), folder / "out", created=CREATED, doing=Doing(controls=controls))
        key = log.reader.verifier_key
    return folder / "out", key


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def pdf_text(raw: bytes) -> str:
    """What a report's pages say: texts of their content streams (Tj), one space between."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL):
        packed = stream.strip()
        with contextlib.suppress(ValueError, zlib.error):
            page = zlib.decompress(base64.a85decode(packed.removesuffix(b"~>")))
            found += re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", page, re.DOTALL)
    text = b" ".join(re.sub(rb"\\([()\\])", rb"\1", one).strip() for one in found)
    return " ".join(text.decode("cp1252").split())


class TestViews:
    def test_all_of_them_verify(self, everything):
        assert verified(everything[0], "--key", everything[1])[0] == 0
        assert {view.file for view in VIEWS.values()} <= {path.name for path in everything[0].iterdir()}

    def test_no_cell_of_the_csv_is_a_formula_and_none_is_lost(self, everything):
        rows = list(csv.DictReader(io.StringIO((everything[0] / "records.csv").read_bytes().decode(), newline="")))
        assert len(rows) == 22
        assert [row["reason"] for row in rows[: len(FORMULAS)]] == [f"'{text}" for text in FORMULAS]
        assert rows[20]["app"] == "'=evil()"

    def test_json_lines_hold_leaf_and_openings(self, everything):
        rows = lines(everything[0] / "view.jsonl")
        assert rows[3]["public"]["decision_id"] == "01a2-3"
        assert rows[3]["opened"]["input"] == {"n": 3}

    def test_the_compressed_lines_are_the_same(self, everything):
        import zstandard

        with (
            (everything[0] / "view.jsonl.zst").open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as plain,
        ):
            assert plain.read() == (everything[0] / "view.jsonl").read_bytes()

    def test_parquet_keeps_types(self, everything):
        from arro3.io import read_parquet

        table = read_parquet(str(everything[0] / "records.parquet")).read_all()
        assert table.num_rows == 22
        assert table.column("index").to_pylist() == list(range(22))
        assert table.column("rules").to_pylist()[19:] == [["CONN-001"], [], []]
        assert table.column("app").to_pylist()[20] == "=evil()"
        assert table.column("error").to_pylist()[0] is None

    def test_the_workbook_holds_texts_and_numbers_and_no_formula(self, everything):
        with zipfile.ZipFile(everything[0] / "records.xlsx") as book:
            sheet = book.read("xl/worksheets/sheet1.xml").decode()
            styles = book.read("xl/styles.xml").decode()
        assert "<f>" not in sheet
        assert "<hyperlink" not in sheet
        assert "quotePrefix" in styles
        cells = ["".join(cell.itertext()) for cell in ET.fromstring(sheet).iter() if cell.tag.endswith("}c")]
        assert "=evil()" in cells
        assert "=1+1" in cells

    def test_a_full_sheet_is_followed_by_another(self, tmp_path):
        leaf = {"index": 1, "time": "t", "kind": "k", "app_sequence": 1, "public": {"app": "x" * 40_000 + "\ud800"}}
        context = Context("log+00+AA==", CREATED, {}, 7, lambda _: b"", {})
        write_xlsx(lambda: iter([Record(b"", leaf, {})] * 7), tmp_path / "b.xlsx", context, 3)
        with zipfile.ZipFile(tmp_path / "b.xlsx") as book:
            rows = [book.read(f"xl/worksheets/sheet{n}.xml").count(b"<row ") for n in (1, 2, 3)]
        assert rows == [4, 4, 2]
        assert [path.name for path in tmp_path.iterdir()] == ["b.xlsx"]

    def test_the_report_says_scope_totals_rules_samples_and_how_to_verify(self, everything):
        raw = (everything[0] / "report.pdf").read_bytes()
        assert raw.startswith(b"%PDF-")
        assert len(raw) < 50_000
        said = pdf_text(raw)
        for text in (
            "asked for everything records 22 first 2026-03-01T10:00:00Z last 2026-03-09T10:00:00Z", "deny 20 allow 2",
            "Rules that were not met, most often first CONN-001 20", "app0 7", "=evil() 1",
            "Record 0, 2026-03-01T10:00:00Z, app0: =1+1",
            "python verify.py THIS_PACKAGE --key", everything[1][:40],
        ):  # fmt: skip
            assert text in said, (text, said)

    def test_the_same_records_give_the_same_report(self, everything, tmp_path):
        records = [Record(b"", json.loads(line), {}) for line in lines_of(everything[0] / "records.jsonl")]
        context = Context(everything[1], CREATED, {"app": "<b>x</b>"}, 22, lambda _: b"", {})
        for name in ("one", "two"):
            write_pdf(lambda: iter(records), tmp_path / name, context)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
        assert "asked for app < b > x < /b > records 22" in pdf_text((tmp_path / "one").read_bytes())

    def test_ocsf_events_are_of_their_classes(self, everything):
        events = lines(everything[0] / "ocsf.jsonl")
        activities = [event for event in events if event["class_uid"] == 6003]
        findings = [event for event in events if event["class_uid"] == 2003]
        assert (len(activities), len(findings)) == (22, 42)
        assert activities[0]["metadata"]["profiles"] == ["security_control"]
        assert (activities[0]["action_id"], activities[20]["action_id"]) == (2, 1)
        assert all(event["type_uid"] == event["class_uid"] * 100 + event["activity_id"] for event in events)
        assert [finding["compliance"]["status"] for finding in findings[:2]] == ["Fail", "Warning"]
        assert findings[1]["status"] == "Suppressed"

    def test_oscal_has_one_finding_a_control(self, everything):
        results = json.loads((everything[0] / "oscal-assessment-results.json").read_text())["assessment-results"]
        (result,) = results["results"]
        states = {finding["title"]: finding["target"]["status"]["state"] for finding in result["findings"]}
        assert states == {
            "SOC2:CC9.2": "not-satisfied",
            "ISO-27001:A.5.19": "not-satisfied",
            "GDPR:Art.32": "satisfied",  # every violation was waived, and the observation says so
            "GDPR:Art.5": "satisfied",
        }
        waived = next(o for o in result["observations"] if "GDPR:Art.32" in o["description"])
        assert "20 that were waived" in waived["description"]

    def test_every_decision_is_an_attestation_that_the_log_s_key_signed(self, everything):
        envelopes = lines(everything[0] / "vsa.jsonl")
        assert len(envelopes) == 21
        key = Ed25519PublicKey.from_public_bytes(parse_verifier_key(everything[1]).public)
        for envelope in envelopes:
            payload = base64.b64decode(envelope["payload"])
            kind = envelope["payloadType"]
            message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
            key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)
        results = [json.loads(base64.b64decode(e["payload"]))["predicate"]["verificationResult"] for e in envelopes]
        assert results == ["FAILED"] * 20 + ["PASSED"]

    def test_opa_decision_events(self, everything):
        events = lines(everything[0] / "opa-decisions.jsonl")
        assert len(events) == 21
        assert events[0]["input"] == {"n": 0}
        assert events[0]["result"]["effect"] == "deny"
        assert events[0]["bundles"]["platform"]["revision"].startswith("sha256:")

    def test_trestle_takes_the_oscal_document(self, everything):
        read = taken_by_trestle(everything[0] / "oscal-assessment-results.json")
        assert [len(read.results), len(read.results[0].findings), len(read.results[0].observations)] == [1, 4, 4]

    def test_trestle_takes_one_of_nothing_and_of_controls_whose_names_are_no_tokens(self, tmp_path):
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            log.append(decided(0))
            for name, wanted, controls in (
                ("none", Filter(app="nobody"), {}),
                ("odd", Filter(), {"X-1": ["27001:A.5", "-", "\u00fc ber:\u0664", "a/b c", "", "x\n"]}),
            ):
                doing = Doing(controls=controls)
                export(log.reader, Wanted(wanted, ["oscal"]), tmp_path / name, created=CREATED, doing=doing)
        none, odd = (taken_by_trestle(tmp_path / name / "oscal-assessment-results.json") for name in ("none", "odd"))
        assert none.results[0].findings is None
        assert len(odd.results[0].findings) == 9

    @pytest.mark.parametrize(
        "damage",
        [
            lambda result: result["findings"][0].pop("uuid"),
            lambda result: result["findings"][1].update(uuid=result["findings"][0]["uuid"]),
            lambda result: result["findings"][0]["target"]["status"].update(state="fine"),
            lambda result: result.update(start="yesterday"),
            lambda result: result.update(observations=[]),
            lambda result: result.update(verdict="good"),
        ],
    )
    def test_trestle_would_refuse_another_one(self, everything, tmp_path, damage):
        document = json.loads((everything[0] / "oscal-assessment-results.json").read_text())
        damage(document["assessment-results"]["results"][0])
        (tmp_path / "damaged.json").write_text(json.dumps(document))
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            taken_by_trestle(tmp_path / "damaged.json")


def taken_by_trestle(path):
    """Read and validated with NIST's model, as `trestle import` and `trestle validate` do."""
    from trestle.common.err import TrestleError  # here: other workers need not load the model
    from trestle.core.validator_factory import validator_factory
    from trestle.oscal.assessment_results import AssessmentResults

    try:
        read = AssessmentResults.oscal_read(path)
    except TrestleError as error:
        pytest.fail(str(error))
    assert [each for each in validator_factory.get_all() if not each.model_is_valid(read, quiet=True)] == []
    return read


class TestInterrupted:
    def test_it_goes_on_where_it_stopped_and_ends_the_same(self, tmp_path):
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            for future in [log.submit(entry(number)) for number in range(3_000)]:
                future.result()
        wanted = Wanted(Filter(app="app1"), ["csv"])
        read = []

        class Cut(Exception):
            pass

        def cut(stage, done, _total):
            if stage == "records" and done >= 1_000:
                raise Cut

        def noted(stage, done, _total):
            if stage == "records":
                read.append(done)

        with closing(LogReader(tmp_path / "home", origin=ORIGIN)) as log:
            export(log, wanted, tmp_path / "whole", created=CREATED)
            with pytest.raises(Cut):
                export(log, wanted, tmp_path / "out", created=CREATED, doing=Doing(cut))
        assert not (tmp_path / "out").exists()
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            log.append(entry(3_001))  # what is written meanwhile is not in it: the checkpoint is the first one
            with pytest.raises(AuditError, match="another export that was interrupted"):
                export(log.reader, Wanted(Filter(app="app0"), ["csv"]), tmp_path / "out", created=CREATED)
            done = export(log.reader, wanted, tmp_path / "out", created="2027-01-01T00:00:00Z", doing=Doing(noted))
        assert done.records == 1_500
        assert read[0] > 500
        for path in (tmp_path / "whole").iterdir():
            assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name
        assert verified(tmp_path / "out")[0] == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out", "whole"]

    @pytest.mark.parametrize(("at", "out"), [("a view", "out"), ("a view", "out.zip"), ("packing", "out.zip")])
    def test_killed_at_its_end_it_leaves_nothing_in_the_package_that_does_not_belong(self, tmp_path, at, out):
        code = """
import os, signal, sys
from pathlib import Path
from audit.exports.package import Doing, Wanted, export
from audit.reader import LogReader
from audit.store import Filter

home, out, at, origin, created = sys.argv[1:]

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if at == "a view":  # its temporary files are there
    sys.addaudithook(lambda event, _: end() if event == "tempfile.mkstemp" else None)
log = LogReader(Path(home), origin=origin)
doing = Doing(lambda stage, *_: end() if stage == "packing" else None)
export(log, Wanted(Filter(), ["csv", "xlsx"]), Path(out), created=created, doing=doing)
"""
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            for number in range(4):
                log.append(entry(number))
        place = tmp_path / out
        ended = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "home", place, at, ORIGIN, CREATED], check=False, cwd=ROOT
        )
        assert ended.returncode == -signal.SIGKILL
        with closing(LogReader(tmp_path / "home", origin=ORIGIN)) as log:
            with pytest.raises(AuditError, match="another export that was interrupted"):
                export(log, Wanted(Filter(), ["csv"], ()), place, created=CREATED)
            export(log, Wanted(Filter(), ["csv", "xlsx"]), place, created=CREATED)
        done = verify_package(str(place))
        assert (done.records, done.beside) == (4, ())
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["home", out])

    def test_two_processes_do_not_write_one_export(self, tmp_path):
        import fcntl
        import os

        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            log.append(entry(1))
            work = tmp_path / ".out.unfinished"
            work.mkdir()
            other = os.open(work, os.O_RDONLY)
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(AuditError, match="another process"):
                export(log.reader, Wanted(Filter()), tmp_path / "out", created=CREATED)
            os.close(other)
            assert export(log.reader, Wanted(Filter()), tmp_path / "out", created=CREATED).records == 1

    def test_a_log_that_gives_something_else_than_its_root_is_never_signed(self, tmp_path):
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            for number in range(4):
                log.append(entry(number))
        import sqlite3

        with closing(sqlite3.connect(tmp_path / "home" / "audit" / "log.db")) as db:
            db.execute("UPDATE leaves SET leaf = CAST(replace(leaf, 'deny', 'allo') AS BLOB) WHERE idx = 2")
            db.commit()
        with (
            closing(LogReader(tmp_path / "home", origin=ORIGIN)) as log,
            pytest.raises(AuditError, match="does not lead to its own root"),
        ):
            export(log, Wanted(Filter()), tmp_path / "out", created=CREATED)
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_large_export_and_its_verification_need_little_memory(tmp_path):
    from tests.benchmarks import evidence as bench

    me, home, out = bench.__file__, tmp_path / "home", tmp_path / "out"
    home.mkdir()
    bench.step(me, "--step", "write", str(home), "20000")
    exported = bench.step(me, "--step", "export", str(home), str(out), "csv")
    assert (exported.said, exported.mib < 80) == ("19600", True)
    verified = bench.step(str(out / "verify.py"), str(out))
    assert ("VERIFIED: 19600 records" in verified.said, verified.mib < 64) == (True, True)


class Nodes:
    """All complete nodes of a tree."""

    def __init__(self, size: int) -> None:
        self.frontier, self.nodes, self.roots = Frontier(), {}, {}
        for number in range(size):
            made = self.frontier.append(leaf_hash(b"leaf %d" % number))
            self.nodes.update({(level, index): digest for level, index, digest in made})
            self.roots[number + 1] = self.frontier.root()

    def proof(self, chosen, size, stops):
        tree, proof = Rebuilt(), []
        for end in [*chosen, size]:
            for level, index in blocks(tree.size, end, stops):
                proof.append(self.nodes[level, index])
                tree.add(level, proof[-1])
            if end != size:
                tree.add(0, self.nodes[0, end])
        return proof


class TestProofForMany:
    @settings(deadline=None)
    @given(st.integers(1, 200), st.data())
    def test_leaves_and_proof_lead_to_the_root_and_to_those_of_the_stops(self, size, data):
        chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=20)))
        stops = sorted(data.draw(st.sets(st.integers(1, size), max_size=4)))
        nodes = Nodes(size)
        proof = nodes.proof(chosen, size, stops)
        leaves = [(index, nodes.nodes[0, index]) for index in chosen]
        tree = rebuild(leaves, iter(proof), size, stops, stops)
        assert tree.root() == nodes.frontier.root()
        assert tree.roots == {stop: nodes.roots[stop] for stop in stops}
        if len(chosen) == size:
            assert proof == []
        assert len(proof) <= (len(chosen) + len(stops) + 1) * 2 * size.bit_length()

    @settings(deadline=None)
    @given(st.integers(2, 100), st.data())
    def test_anything_else_does_not(self, size, data):
        chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=10)))
        nodes = Nodes(size)
        proof = nodes.proof(chosen, size, ())
        leaves = [(index, nodes.nodes[0, index]) for index in chosen]
        at = data.draw(st.integers(0, len(leaves) - 1))
        bent = [*leaves[:at], (leaves[at][0], leaf_hash(b"another")), *leaves[at + 1 :]]
        assert rebuild(bent, iter(proof), size, (), ()).root() != nodes.frontier.root()
        for wrong in (proof[:-1], [*proof, b"x" * 32], [*proof[:-1], b"short"]):
            if wrong != proof:
                with pytest.raises(ValueError, match="proof is too"):
                    rebuild(leaves, iter(wrong), size, (), ())
        for wrong in ([(size, leaves[0][1])], [*leaves, leaves[-1]], [(-1, leaves[0][1])]):
            with pytest.raises(ValueError, match="out of order"):
                rebuild(wrong, iter([*proof, *proof, *proof]), size, (), ())


class TestSealedTexts:
    VALUES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["answer", "salt", "value", "é"]), inner)
        ),
        max_leaves=8,
    )

    @settings(deadline=None)
    @given(st.dictionaries(st.sampled_from(["input", "facts", "answer"]), VALUES, min_size=1))
    def test_parts_are_found_whatever_the_values_look_like(self, values):
        from audit.record import seal

        sealed = {
            name: seal({"x": value, "answer": {"salt": "0" * 32, "value": value}}) for name, value in values.items()
        }
        openings = {name: Opening(one.salt, one.text.encode("utf-8", "surrogatepass")) for name, one in sealed.items()}
        text = joined(openings)
        assert split(text, {name: one.commitment for name, one in sealed.items()}) == openings
        assert parsed(text) == openings
        with pytest.raises(ValueError, match="not the one that was recorded"):
            split(text, dict.fromkeys(sealed, "00" * 32))

    @settings(deadline=None)
    @given(st.binary(max_size=80))
    def test_junk_is_refused(self, raw):
        with contextlib.suppress(ValueError):
            assert split(raw, {}) == {}


def test_the_one_file_is_built_from_modules_that_do_not_clash():
    names = {"os": 1}
    exec(compile(standalone(), "verify.py", "exec"), {"__name__": "verifier", "names": names})  # noqa: S102
    assert len(standalone()) < 100_000
