"""Waiver files: only a whole, attributable, bounded waiver is read."""

import pytest
import yaml

from governance.errors import RuleError
from governance.policy.waivers import load_waivers

RULES = {"APP-001", "APP-002"}
SPEC = {
    "rule": "APP-001",
    "subject": "app:lunch",
    "owner": "ann",
    "approver": "bob",
    "reason": "until the move",
    "expires": "2027-03-02T00:00:00Z",
}


def write(folder, document, name="w.yaml"):
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    (folder / name).write_text(text)
    return load_waivers(str(folder), RULES)


def document(**changed):
    spec = {key: value for key, value in {**SPEC, **changed}.items() if value is not None}
    return {"kind": "Waiver", "metadata": {"name": "w"}, "spec": spec}


def test_a_whole_waiver_is_read(tmp_path):
    (waiver,) = write(tmp_path, document(ticket="T-1"))
    assert (waiver.name, waiver.rule, waiver.subject, waiver.expires) == ("w", "APP-001", "app:lunch", SPEC["expires"])


def test_waivers_come_in_the_order_of_their_files_and_other_files_are_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("- not: yaml: at: all")
    write(tmp_path, {**document(), "metadata": {"name": "second"}}, "b.yaml")
    found = write(tmp_path, {**document(), "metadata": {"name": "first"}}, "a.yml")
    assert [waiver.name for waiver in found] == ["first", "second"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rule": "APP-999"}, "does not exist"),
        ({"rule": "*"}, "does not exist"),
        ({"rule": None}, "spec.rule is missing"),
        ({"rule": ["APP-001", "APP-002"]}, "spec.rule is missing"),
        ({"subject": None}, "spec.subject is missing"),
        ({"subject": "*"}, "is not app:<name>"),
        ({"subject": "app:*"}, "is not app:<name>"),
        ({"subject": "app:"}, "is not app:<name>"),
        ({"subject": "tenant:hr,fin"}, "is not app:<name>"),
        ({"subject": "app:a b"}, "is not app:<name>"),
        ({"subject": "app:a\n"}, "is not app:<name>"),
        ({"subject": "org:all"}, "is not app:<name>"),
        ({"expires": "9999-99-99T99:99:99Z"}, "is not an instant"),
        ({"expires": "2027-02-29T00:00:00Z"}, "is not an instant"),
        ({"owner": ""}, "spec.owner is missing"),
        ({"approver": None}, "spec.approver is missing"),
        ({"approver": "ann"}, "owner and approver are the same"),
        ({"approver": "Ann"}, "owner and approver are the same"),
        ({"approver": " ann "}, "owner and approver are the same"),
        ({"reason": "   "}, "spec.reason is missing"),
        ({"expires": None}, "spec.expires is missing"),
        ({"expires": "never"}, "is not an instant"),
        ({"expires": "2027-03-02"}, "is not an instant"),
        ({"expires": "2027-03-02T00:00:00+14:00"}, "is not an instant"),
        ({"expires": "2027-03-02T00:00:00Z "}, "is not an instant"),
        ({"expires": "２０２７-03-02T00:00:00Z"}, "is not an instant"),
        ({"from": "2026-01-01T00:00:00Z"}, "spec.from is not a member"),
    ],
)
def test_a_waiver_that_is_not_whole_is_refused_with_its_file(tmp_path, changed, message):
    with pytest.raises(RuleError, match=message) as caught:
        write(tmp_path, document(**changed))
    assert str(tmp_path / "w.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "text",
        "a: [",
        "kind: Waiver",
        "kind: Waiver\nspec: {}",
        "kind: Waiver\nmetadata: w\nspec: {rule: APP-001}",
        "kind: Waiver\nmetadata: {name: [w]}\nspec: {rule: APP-001}",
        "kind: Other\nmetadata: {name: w}\nspec: {rule: APP-001}",
        "kind: Waiver\nmetadata: {name: w}\nspec: []",
        "!!python/object/apply:os.getcwd []",
        "kind: Waiver\nkind: Waiver\nmetadata: {name: w}\nspec: {rule: APP-001}",
        yaml.safe_dump(document()) + "kind: Waiver\n",
        yaml.safe_dump(document()).replace("  rule:", "  subject: app:other\n  rule:"),
        yaml.safe_dump(document()).replace("spec:", "spec: &all\n  <<: *all"),
        "kind: &k [*k]\nmetadata: {name: w}\nspec: *k",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
        + "kind: *i\n",
        yaml.safe_dump(document()) + "---\n" + yaml.safe_dump(document()),
    ],
)
def test_what_is_no_waiver_is_refused(tmp_path, text):
    with pytest.raises(RuleError, match=r"w\.yaml"):
        write(tmp_path, text)


def test_one_bad_file_refuses_all_of_them(tmp_path):
    write(tmp_path, document(), "a.yaml")
    with pytest.raises(RuleError, match=r"b\.yaml"):
        write(tmp_path, document(rule="APP-999"), "b.yaml")
