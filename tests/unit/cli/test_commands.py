"""The other commands: decide, audit, rules, bundle, key, schema, settings, and what every command does when misused."""

from __future__ import annotations

import importlib.util
import json
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from governance.entrypoints.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
MAIN = "from governance.entrypoints.cli.main import main; main()"
SEED = ROOT / "rules" / "extras" / "seed"
# A whole pack in one rule: what is signed matters where it stands, not how much it is.
SMALL = """# METADATA
# title: A month at most
# description: What an app keeps, it keeps for thirty days.
# custom:
#   id: OWN-001
#   severity: low
#   applies_to: [deploy]
#   controls: ["SOC2:CC6.1"]
#   remediation: Keep it for thirty days.
package platform.rules.own.month

deny contains {"path": ["app", "data", "retention"], "message": "Too long."} if input.app.data.retention != "P30D"
"""


class TestEveryCommand:
    @pytest.mark.parametrize("name", sorted(COMMANDS))
    def test_help_says_what_it_does_and_exits_clean(self, cli, capsys, name):
        done = cli(name, "--help")
        assert done.code == 0
        assert "usage: governance" in done.out + capsys.readouterr().out

    @pytest.mark.parametrize("argv", [["conjure"], ["rules"], ["rules", "conjure"], ["audit"], ["bundle"], ["key"]])
    def test_what_is_no_command_exits_2(self, cli, argv):
        assert cli(*argv).code == 2

    def test_an_environment_variable_that_is_no_setting_is_a_typo_not_a_wish(self, cli):
        done = cli("check", str(EXAMPLES / "app-fixed.yaml"), GOVERNANCE_BUNDEL="x")
        assert done.code == 2
        assert "GOVERNANCE_BUNDEL" in done.err

    def test_settings_show_value_and_source(self, cli):
        rows = {r["variable"]: r for r in json.loads(cli("settings", "--format", "json", GOVERNANCE_MAX_BATCH="7").out)}
        assert (rows["GOVERNANCE_MAX_BATCH"]["value"], rows["GOVERNANCE_MAX_BATCH"]["source"]) == ("7", "environment")
        assert rows["GOVERNANCE_BUDGET_MS"]["source"] == "default"

    def test_a_setting_that_is_no_number_is_refused_by_name(self, cli):
        done = cli("decide", str(EXAMPLES / "hr-call.json"), GOVERNANCE_RECORD_TIMEOUT_MS="soon")
        assert done.code == 2
        assert "GOVERNANCE_RECORD_TIMEOUT_MS" in done.err

    def test_schemas_are_those_that_decide(self, cli):
        kinds = cli("schema").out.split()
        assert set(kinds) == {"MicroApp", "AppTemplate", "Connector", "Waiver", "Tenant", "PolicyMode"}
        for kind in kinds:
            assert json.loads(cli("schema", kind).out)["properties"]["kind"]["const"] == kind


class TestDecide:
    def test_a_request_is_decided_recorded_and_shown(self, cli):
        done = cli("decide", str(EXAMPLES / "hr-call.json"))
        decision = json.loads(done.out)
        assert (done.code, decision["effect"]) == (1, "deny")
        shown = json.loads(cli("audit", "show", decision["decision_id"]).out)
        assert shown["public"]["decision_id"] == decision["decision_id"]

    def test_the_story_of_an_app_over_several_commands(self, cli):
        assert cli("decide", "--kind", "template", str(EXAMPLES / "template.yaml")).code == 0
        assert cli("decide", "--kind", "deploy", str(EXAMPLES / "app.yaml")).code == 1
        assert cli("decide", str(EXAMPLES / "suggestion-flow.json")).code == 1
        allowed = cli("decide", "--kind", "deploy", str(EXAMPLES / "app-fixed.yaml"))
        assert allowed.code == 0
        assert json.loads(allowed.out)["obligations"]
        assert cli("decide", str(EXAMPLES / "suggestion-flow.json")).code == 0
        assert len(cli("audit", "list").out.splitlines()) == 5

    def test_a_dry_run_is_recorded_as_such_and_permits_nothing(self, cli):
        cli("decide", "--kind", "template", str(EXAMPLES / "template.yaml"))
        done = cli("decide", "--dry-run", "--kind", "deploy", str(EXAMPLES / "app-fixed.yaml"))
        assert done.code == 0
        shown = json.loads(cli("audit", "show", json.loads(done.out)["decision_id"]).out)
        assert shown["public"]["dry_run"] is True
        assert cli("decide", str(EXAMPLES / "suggestion-flow.json")).code == 1

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"kind": "conjure", "resource": {}}'])
    def test_what_is_no_request_exits_2_and_is_recorded(self, cli, raw):
        done = cli("decide", "-", stdin=raw)
        assert (done.code, done.out) == (2, "")
        assert "refused" in cli("audit", "list").out

    def test_without_a_log_that_can_be_written_there_is_no_answer(self, cli, tmp_path):
        (tmp_path / "home").write_text("a file, where a folder has to be")
        done = cli("decide", str(EXAMPLES / "suggestion-flow.json"))
        assert (done.code, done.out) == (3, "")


class TestAudit:
    def test_an_export_verifies_and_a_changed_byte_is_named(self, cli, tmp_path):
        for _ in range(3):
            cli("decide", str(EXAMPLES / "hr-call.json"))
        assert cli("audit", "export", "--out", "package").code == 0
        assert cli("audit", "verify", "package").code == 0
        records = tmp_path / "package" / "records.jsonl"
        records.write_text(records.read_text().replace('"deny"', '"allow"', 1))
        done = cli("audit", "verify", "package")
        assert done.code == 1
        assert "record 0" in done.out + done.err

    def test_policies_of_a_package_are_run_only_where_somebody_says_whose_it_is(self, cli):
        cli("decide", str(EXAMPLES / "hr-call.json"))
        assert cli("audit", "export", "--with-bundles", "--openings", "none", "--out", "package").code == 0
        assert cli("audit", "verify", "package", "--re-evaluate").code == 2
        key = cli("audit", "key").out.strip()
        done = cli("audit", "verify", "package", "--key", key, "--re-evaluate")
        assert (done.code, "1 not readable" in done.out) == (0, True)

    def test_controls_and_scores_are_told_from_the_log(self, cli):
        cli("decide", "--kind", "deploy", str(EXAMPLES / "app.yaml"))
        assert cli("controls", "coverage").code == 0
        rows = json.loads(cli("controls", "list", "--control", "GDPR", "--format", "json").out)
        assert {"control", "title", "rules"} == set(rows[0])
        found = json.loads(cli("controls", "evidence", "--control", "SOC2:CC9.2", "--format", "json").out)
        assert found["controls"][0]["decided"] == 1
        assert "without a rule" in cli("controls", "gaps").out
        body = json.loads(cli("score", "report", "--format", "json").out)
        told = cli("score", "report", "--since", body["at"][:10]).out
        assert "0.0 % of 1 apps compliant, by the" in told
        assert (body["score"], body["standings"][0]["status"]) == (0.0, "open_findings")

    def test_csv_and_filters(self, cli, tmp_path):
        cli("decide", str(EXAMPLES / "hr-call.json"))
        cli("decide", str(EXAMPLES / "outgoing-flow.json"))
        assert cli("audit", "export", "--format", "csv", "--kind", "data_flow", "--out", "package").code == 0
        (table,) = (tmp_path / "package").glob("*.csv")
        assert len(table.read_text().splitlines()) == 2

    def test_the_log_checks_itself(self, cli):
        cli("decide", str(EXAMPLES / "hr-call.json"))
        assert "1 records" in cli("audit", "check").out

    def test_without_a_log_there_is_nothing_to_read(self, cli):
        assert cli("audit", "list").code == 2


class TestRules:
    def test_list_and_explain(self, cli):
        rows = json.loads(cli("rules", "list", "--format", "json").out)
        assert len(rows) >= 24
        text = cli("rules", "explain", "RUN-002").out
        assert "RUN-002" in text
        assert cli("rules", "explain", "NO-001").code == 2

    def test_the_seed_policy_serves_beside_ours(self, cli):
        app = {"name": "a", "connectors": [{"name": "unheard-of"}], "costCenter": "MK-42"}
        argv = ["rules", "eval", "--v0", "-d", str(SEED), "-i", "-", "data.platform.policies"]
        done = cli(*argv, stdin=json.dumps({"app": app}).encode())
        assert done.code == 0
        assert "Connector unheard-of is not approved" in done.out
        assert "cost center" not in done.out


RULE = """# METADATA
# title: A title.
# description: What it asks for.
# custom:
#   id: APP-001
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.15"]
#   remediation: Do it otherwise.
package platform.rules.app.owner

deny contains {"path": ["app"], "message": "The app has no owner."} if not input.app.owner
"""


class TestBundle:
    @pytest.fixture
    def keys(self, tmp_path):
        made = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }
        for name, key in made.items():
            _save(tmp_path / f"{name}.pem", key)
        return made

    @pytest.fixture
    def source(self, tmp_path):
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / ".manifest").write_text('{"roots": ["own"], "revision": "r1"}')
        (folder / "own.rego").write_text("package own\n\nok if input.n > data.own.least\n")
        (folder / "own").mkdir()
        (folder / "own" / "data.yaml").write_text("least: 1.50\nwords: [no, on, 012, 2026-01-01]\n")
        return folder

    @pytest.mark.parametrize("name", ["rsa", "ec", "ed"])
    def test_signed_verified_and_served(self, cli, keys, source, tmp_path, name):
        (tmp_path / "main").mkdir()
        (tmp_path / "main" / ".manifest").write_text('{"roots": ["platform/rules"]}')
        (tmp_path / "main" / "month.rego").write_text(SMALL)
        for bundle in ("own", "main"):
            assert cli("bundle", "build", bundle, "-o", f"{bundle}.tar.gz", "--key", f"{name}.pem").code == 0
            assert cli("bundle", "verify", f"{bundle}.tar.gz", "--key", f"{name}.pub").code == 0
        env = {"GOVERNANCE_BUNDLE_KEY": f"{name}.pub", "GOVERNANCE_EXTRA_BUNDLES": "own.tar.gz"}
        env["GOVERNANCE_BUNDLE"] = "main.tar.gz"
        assert cli("check", str(EXAMPLES / "app-fixed.yaml"), **env).code == 0
        refused = cli("check", str(EXAMPLES / "app.yaml"), **env)
        assert (refused.code, "OWN-001" in refused.out) == (1, True)

    def test_the_same_source_gives_the_same_bytes(self, cli, source, tmp_path):
        cli("bundle", "build", "own", "-o", "a.tar.gz")
        cli("bundle", "build", "own", "-o", "b.tar.gz")
        assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()

    def test_another_key_no_signature_and_another_algorithm_are_refused_by_name(self, cli, keys, source, tmp_path):
        _save(tmp_path / "other.pem", rsa.generate_private_key(65537, 2048))
        cli("bundle", "build", "own", "-o", "plain.tar.gz")
        cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "rsa.pem")
        for bundle, key, words in [
            ("b.tar.gz", "other.pub", "not by this key"),
            ("b.tar.gz", "ed.pub", "the key is for EdDSA"),
            ("plain.tar.gz", "rsa.pub", "not signed"),
        ]:
            assert words in cli("bundle", "verify", bundle, "--key", key).err
            env = {"GOVERNANCE_BUNDLE_KEY": key, "GOVERNANCE_EXTRA_BUNDLES": bundle}
            done = cli("check", str(EXAMPLES / "app-fixed.yaml"), **env)
            assert (done.code, done.out) == (2, "")
            assert words in done.err

    @pytest.mark.parametrize("change", ["module", "data", "added", "removed"])
    def test_a_file_that_is_not_as_it_was_signed_is_named(self, cli, keys, source, tmp_path, change):
        cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "ec.pem")
        files = _unpacked(tmp_path / "b.tar.gz")
        if change == "module":
            files["own.rego"] += b"ok if true\n"
        elif change == "data":
            files["data.json"] = files["data.json"].replace(b"1.5", b"0.5")
        elif change == "added":
            files["more.rego"] = b"package own\n\nok if true\n"
        else:
            del files["own.rego"]
        _pack(tmp_path / "b.tar.gz", files)
        done = cli("bundle", "verify", "b.tar.gz", "--key", "ec.pub")
        assert done.code == 2
        assert {"module": "own.rego", "data": "data.json", "added": "more.rego", "removed": "own.rego"}[
            change
        ] in done.err

    def test_white_space_in_data_may_change_and_nothing_else(self, cli, keys, source, tmp_path):
        cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "ec.pem")
        files = _unpacked(tmp_path / "b.tar.gz")
        files["data.json"] = json.dumps(json.loads(files["data.json"]), indent=4).encode()
        _pack(tmp_path / "b.tar.gz", files)
        assert cli("bundle", "verify", "b.tar.gz", "--key", "ec.pub").code == 0

    def test_a_public_key_cannot_stand_in_for_a_shared_secret(self, cli, keys, source, tmp_path):
        """The classic: a token of HS256 whose secret is the public key that everybody has."""
        import base64
        import hashlib
        import hmac

        cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "rsa.pem")
        files = _unpacked(tmp_path / "b.tar.gz")
        payload = json.loads(files[".signatures.json"])["signatures"][0].split(".")[1]
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
        mac = hmac.digest((tmp_path / "rsa.pub").read_bytes(), f"{head}.{payload}".encode(), hashlib.sha256)
        token = f"{head}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        for forged in (token, f"{none}.{payload}."):
            files[".signatures.json"] = json.dumps({"signatures": [forged]}).encode()
            _pack(tmp_path / "b.tar.gz", files)
            assert cli("bundle", "verify", "b.tar.gz", "--key", "rsa.pub").code == 2

    def test_what_does_not_compile_does_not_become_a_file(self, cli, source, tmp_path):
        (source / "own.rego").write_text("package own\n\nok if no_such(1)\n")
        assert cli("bundle", "build", "own", "-o", "b.tar.gz").code == 2
        assert not (tmp_path / "b.tar.gz").exists()

    def test_inspect_reads_yaml_words_as_opa_does(self, cli, source):
        shown = json.loads(cli("bundle", "inspect", "own", "--format", "json").out)
        assert (shown["revision"], shown["roots"], shown["signed"]) == ("r1", ["own"], False)
        cli("bundle", "build", "own", "-o", "b.tar.gz")
        data = json.loads(_unpacked(Path("b.tar.gz"))["data.json"])
        assert data == {"own": {"least": 1.5, "words": ["no", "on", 10, "2026-01-01"]}}

    def test_a_mode_of_a_tenant_that_nobody_knows_is_said_aloud(self, cli, tmp_path):
        folder = tmp_path / "pack" / "platform" / "modes"
        folder.mkdir(parents=True)
        (tmp_path / "pack" / "owner.rego").write_text(RULE)
        for tenant, is_said in (("hrr", True), ("HR", True), ("hr", False)):
            table = {"rules": {"APP-001": {"mode": "warn", "tenants": {tenant: "enforce", "sales": "enforce"}}}}
            (folder / "data.json").write_text(json.dumps(table))
            for argv in (["inspect", "pack", "--format", "json"], ["build", "pack", "-o", "b.tar.gz"]):
                done = cli("bundle", *argv)
                assert done.code == 0, done.err
                assert (f"the mode of APP-001 is said of the tenant '{tenant}'" in done.err) is is_said
                assert "sales'" not in done.err
        elsewhere = cli("bundle", "inspect", "b.tar.gz", GOVERNANCE_REGISTRY=str(tmp_path / "none"))
        assert elsewhere.code == 0
        assert "was not looked up" in elsewhere.err

    @pytest.mark.parametrize("name", ["../up.rego", "a/../../up.rego"])
    def test_a_member_that_climbs_out_is_refused(self, cli, tmp_path, name):
        _pack(tmp_path / "b.tar.gz", {name: b"package up\n"})
        done = cli("bundle", "inspect", "b.tar.gz")
        assert done.code == 2
        assert "may not be in a bundle" in done.err

    def test_a_key_with_few_bits_or_that_is_none_is_refused(self, cli, source, tmp_path):
        _save(tmp_path / "weak.pem", rsa.generate_private_key(65537, 1024))
        assert "2048" in cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "weak.pem").err
        (tmp_path / "none.pem").write_text("secret words")
        done = cli("bundle", "build", "own", "-o", "b.tar.gz", "--key", "none.pem")
        assert done.code == 2
        assert "secret words" not in done.err


def _save(path: Path, key) -> None:
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name.lstrip("/"): archive.extractfile(m).read() for m in archive.getmembers()}


def _pack(path: Path, files: dict[str, bytes]) -> None:
    import io

    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


class TestKey:
    def test_a_key_is_shown_once_and_only_its_digest_is_kept(self, cli, tmp_path):
        text = cli("key", "create", "--role", "citizen", "--tenant", "marketing", "--expires", "30d").out.strip()
        file = tmp_path / "home" / "keys.json"
        assert text.split("_")[2] not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (row,) = json.loads(cli("key", "list", "--format", "json").out)
        assert (row["id"], row["role"], row["tenant"]) == (text.split("_")[1], "citizen", "marketing")
        assert "digest" not in row

    def test_making_and_revoking_are_in_the_audit_log(self, cli):
        key_id = cli("key", "create", "--role", "auditor").out.split("_")[1]
        assert cli("key", "revoke", key_id).code == 0
        listed = cli("audit", "list").out
        assert "key_created" in listed
        assert "key_revoked" in listed
        assert "revoked" in cli("key", "list").out

    @pytest.mark.parametrize("argv", [["--role", "king"], ["--role", "citizen", "--expires", "soon"], []])
    def test_what_is_no_role_or_moment_makes_no_key(self, cli, tmp_path, argv):
        assert cli("key", "create", *argv).code == 2
        assert not (tmp_path / "home" / "keys.json").exists()

    def test_revoking_what_is_not_there_is_refused(self, cli):
        assert cli("key", "revoke", "0000").code == 2


def test_the_demo_tells_its_story_to_the_end(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "demo", "--keep", str(tmp_path / "kept")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    story = done.stdout
    for word in (
        "refused",
        "fixed",
        "ALLOWED, with obligations",
        "[masked]",
        "exports",
        "VERIFIED: ",
        "NOT VERIFIED: ",
        "found at /url, in base64",
    ):
        assert word in story, word
    if importlib.util.find_spec("envoy") is not None:
        at_the_gateway = story[story.index("A person calls the app") : story.index("The compliance officer exports")]
        assert at_the_gateway.count(": STOPPED") == 5
        assert "all under the trace" in at_the_gateway
    assert "record 1 (decision" in story[story.rindex("one byte") :]
    assert (tmp_path / "kept").is_dir()
