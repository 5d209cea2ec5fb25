"""`governance scan`: kind and place of what should not be there, never the value."""

from __future__ import annotations

import json

import pytest

KEY = "AKIA" + "QWERTYUIOPASDFGH"
MAIL = "ada.example@example.com"


def found(done):
    return {(f["file"], f["line"], f["sort"], f["entity"]) for f in json.loads(done.out)["findings"]}


@pytest.fixture
def scan(cli, tmp_path):
    """`scan(name, text)`: findings in one file."""

    def call(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return cli("scan", "--format", "json", name)

    return call


@pytest.mark.parametrize(
    ("name", "content", "line", "entity"),
    [
        ("a.txt", f"one\ntwo {MAIL}\n", 2, "EMAIL_ADDRESS"),
        ("a.py", f"x = 1\n\nKEY = '{KEY}'\n", 3, "AWS_ACCESS_KEY"),
        (".env", "PORT=1\nexport DB_PASSWORD='not-a-real-one'\n", 2, "NAMED_SECRET"),
        ("a.ini", "password: not-a-real-one", 1, "NAMED_SECRET"),
        ("a.ini", "x\nurl=https://user:not-a-real-one@h.example/x\n", 2, "URL_PASSWORD"),
        ("a.yaml", f"a: 1\n---\nuser:\n  mail: {MAIL}\n", 4, "EMAIL_ADDRESS"),
        ("a.json", f'{{\n "a": [1,\n  "{MAIL}"]\n}}', 3, "EMAIL_ADDRESS"),
        ("broken.json", f'{{"a":\n "{MAIL}"', 2, "EMAIL_ADDRESS"),
        ("twice.yaml", f"a: 1\na: {MAIL}\n", 2, "EMAIL_ADDRESS"),
        ("a.csv", "id,lastname\n1,Lovelace\n", 2, "PERSON_NAME"),
        ("a.jsonl", '{"a": 1}\n{"password": "not-a-real-one"}\n', 2, "NAMED_SECRET"),
        ("a.txt", "x\r\n" + MAIL + "\r\n", 2, "EMAIL_ADDRESS"),
        ("a.txt", ("x\n" + MAIL).encode("utf-16"), 2, "EMAIL_ADDRESS"),
        ("a.txt", b"\xff\xfe\xff".replace(b"\xff\xfe", b"\xe4") + MAIL.encode(), 1, "EMAIL_ADDRESS"),
        ("deep.json", '{"a":' * 100 + f'"{MAIL}"' + "}" * 100, 1, "EMAIL_ADDRESS"),
    ],
)
def test_it_is_found_in_its_line_and_not_shown(scan, name, content, line, entity):
    done = scan(name, content)
    assert done.code == 1
    assert (name, line, entity) in {(file, at, what) for file, at, _, what in found(done)}
    assert not any(value in done.out + done.err for value in (KEY, MAIL, "not-a-real-one", "Lovelace"))


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3_000_000])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_file_of_any_size_is_looked_at_to_its_end(scan, size, end):
    text = ("x" * 79 + "\n") * (size // 80) + KEY + end
    done = scan("large.txt", text)
    assert found(done) == {("large.txt", size // 80 + 1, "secret", "AWS_ACCESS_KEY")}


@pytest.mark.parametrize("before", [65_536 - 10, (1 << 20) - 10, (1 << 20) + 5, 61_440])
def test_a_value_is_not_cut_in_two_in_a_very_long_line(scan, before):
    done = scan("one-line.txt", " " * before + KEY + " " * 100_000)
    assert found(done) == {("one-line.txt", 1, "secret", "AWS_ACCESS_KEY")}


def test_folders_are_walked_with_hidden_files_and_binary_ones_are_counted(cli, tmp_path):
    (tmp_path / "a" / "node_modules").mkdir(parents=True)
    (tmp_path / "a" / ".env").write_text(f"K={KEY}\n")
    (tmp_path / "a" / "x.bin").write_bytes(b"\x7fELF\0" + KEY.encode())
    (tmp_path / "a" / "node_modules" / "x.txt").write_text(KEY)
    done = cli("scan", "a")
    assert done.code == 1
    assert done.out.splitlines() == [
        "a/.env:1:1: secret AWS_ACCESS_KEY (1.00)",
        "2 files, 1 of them binary and skipped: 1 secrets, 0 personal",
    ]


def test_standard_input_is_a_stream(cli):
    done = cli("scan", "-", stdin=b"nothing\n" * 10 + MAIL.encode())
    assert done.code == 1
    assert done.out.startswith("<stdin>:11:1: pii EMAIL_ADDRESS")


def test_a_clean_file_is_clean(scan):
    done = scan("a.txt", "nothing to see\n")
    assert (done.code, found(done)) == (0, set())


def test_sarif_has_a_rule_for_each_sort_and_fingerprints_without_the_value(cli, tmp_path):
    (tmp_path / "a.yaml").write_text(f"password: not-a-real-one\nmail: {MAIL}\n")
    (run,) = json.loads(cli("scan", "--format=sarif", ".").out)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    results = {r["ruleId"]: r for r in run["results"]}
    assert set(results) == set(rules)
    assert (results["secret/NAMED_SECRET"]["level"], results["pii/EMAIL_ADDRESS"]["level"]) == ("error", "warning")
    before = {r["partialFingerprints"]["governance/v1"] for r in run["results"]}
    (tmp_path / "a.yaml").write_text("# new\npassword: not-another-one\nmail: another@example.com\n")
    (run,) = json.loads(cli("scan", "--format=sarif", ".").out)["runs"]
    assert {r["partialFingerprints"]["governance/v1"] for r in run["results"]} == before


@pytest.mark.parametrize(
    "argv", [[], ["--wrong"], ["--format"], ["--format", "xml", "."], ["absent.txt"], ["empty"], ["x.bin"]]
)
def test_wrong_use_and_nothing_to_look_at_are_errors(cli, tmp_path, argv):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.bin").write_bytes(b"\0")
    done = cli("scan", *argv)
    assert (done.code, done.out) == (2, "")
    assert done.err


@pytest.mark.parametrize("shape", ["text", "json", "sarif"])
def test_the_name_of_a_member_is_not_printed_where_it_is_what_was_found(cli, tmp_path, shape):
    (tmp_path / "people.json").write_text('{"' + MAIL + '": {"card": "4111 1111 1111 1111"}}')
    done = cli("scan", "--format", shape, "people.json")
    assert "CREDIT_CARD" in done.out
    assert MAIL not in done.out + done.err


def test_the_policy_of_a_bundle_rules_where_it_is_asked_for_and_is_told(cli, tmp_path):
    (tmp_path / "a.txt").write_text("PESEL 44051401359\n")
    done = cli("scan", "--format", "json", "--bundle", "home", "a.txt")
    assert {entity for *_, entity in found(done)} == {"PL_PESEL"}
    assert "scanner policy of " in done.err
    assert "least score 0.5" in done.err


def test_without_the_option_the_bundle_that_the_settings_name_rules_and_is_told(cli, tmp_path, monkeypatch):
    data = tmp_path / "rules" / "platform" / "scanner"
    data.mkdir(parents=True)
    (data / "data.yaml").write_text("countries: [DE]\n")
    (tmp_path / "a.txt").write_text("PESEL 44051401359\n")
    plain = cli("scan", "--format", "json", "a.txt")
    assert {entity for *_, entity in found(plain)} == {"PL_PESEL"}
    assert json.loads(plain.out)["policy"] == ""
    monkeypatch.setenv("GOVERNANCE_BUNDLE", str(tmp_path / "rules"))
    ruled = cli("scan", "--format", "json", "a.txt")
    assert (ruled.code, json.loads(ruled.out)["findings"]) == (0, []), ruled.err
    assert json.loads(ruled.out)["policy"] in ruled.err
    assert ": DE; least score 0.5" in ruled.err
    free = cli("scan", "--format", "json", "--bundle", "none", "a.txt")
    assert {entity for *_, entity in found(free)} == {"PL_PESEL"}
