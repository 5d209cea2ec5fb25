"""What a file holds, where it stands, and that each door makes the same request of it."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import CallerError
from governance.model.pointer import to_pointer
from governance.model.request import Source
from governance.normalise.admission import request_of as admitted
from governance.normalise.admission import review_of
from governance.normalise.plan import trimmed
from governance.normalise.positions import position_of
from governance.normalise.requests import normalise_document
from governance.normalise.score import mapped, place_of
from governance.normalise.subjects import is_build_name, is_workflow_name, named_pointer, request_of, subjects_of
from tests.unit.cli.samples import DEPLOYMENT, DOCKERFILE, PLAN, SCORE, WORKFLOW

SOMEBODY = Source("cli.check", "os:1000")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('ab "\\/~{}[],:\n\u00e9', max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text('ab"\\/~\u00e9', min_size=1, max_size=4), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def places(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key), child
        yield from places(child, (*path, key))


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_place_in_json_is_found_where_it_is_written(value, indent, is_spaced):
    separators = None if is_spaced else (",", ":")
    text = json.dumps({"top": value}, indent=indent, separators=separators, ensure_ascii=False)
    (subject,), _ = subjects_of(
        f'{{"apiVersion": "v1", "kind": "Pod", "metadata": {{}}, "x": {text}}}'.encode(), "f.json"
    )
    document = subject.document
    rows = document.text.split("\n")
    for path, child in places(document.value):
        line, column = position_of(document, to_pointer(path))
        key = path[-1]
        written = json.dumps(child if isinstance(key, int) else key, ensure_ascii=False)
        start = written[:1] if isinstance(child, dict | list) and isinstance(key, int) else written
        assert rows[line - 1][column - 1 :].startswith(start)


@given(VALUES)
def test_a_place_that_is_not_there_is_its_nearest_parent_s(value):
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": value if isinstance(value, dict) else {}}
    (subject,), _ = subjects_of(json.dumps(document).encode(), "f.json")
    line, column = position_of(subject.document, "/metadata/absent/0/further")
    assert subject.document.text.split("\n")[line - 1][column - 1 :].startswith('"metadata"')


def test_check_asks_what_the_webhook_is_asked():
    """One object, two doors: the same request but for who asks, and so the same verdict by the same rules."""
    (subject,), _ = subjects_of(DEPLOYMENT.encode(), "web.yaml")
    ours = request_of(subject, SOMEBODY)
    review = {
        "uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "name": "web", "object": yaml.safe_load(DEPLOYMENT),
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "userInfo": {"username": "os:1000"},
    }  # fmt: skip
    theirs = admitted(
        review_of({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": review}), SOMEBODY
    )
    assert ours.text == theirs.text


@pytest.mark.parametrize(
    ("kind", "resource", "name", "text"),
    [
        ("image_build", {"dockerfile": DOCKERFILE}, "Dockerfile", DOCKERFILE),
        ("infrastructure", PLAN, "plan.json", json.dumps(PLAN)),
        ("pipeline", yaml.safe_load(WORKFLOW.replace("\non:", '\n"on":')), ".github/workflows/ci.yml", WORKFLOW),
    ],
)
def test_the_api_and_check_make_the_same_request(kind, resource, name, text):
    (subject,), _ = subjects_of(text.encode(), name)
    assert request_of(subject, SOMEBODY).text == normalise_document({"kind": kind, "resource": resource}, SOMEBODY).text


@pytest.mark.parametrize("resource", [{}, {"dockerfile": 7}, {"dockerfile": "FETCH x"}])
def test_an_image_build_without_a_dockerfile_is_no_request(resource):
    with pytest.raises(CallerError):
        normalise_document({"kind": "image_build", "resource": resource}, SOMEBODY)


class TestPlan:
    def test_trimming_again_changes_nothing(self):
        assert trimmed(trimmed(PLAN)) == trimmed(PLAN)

    @pytest.mark.parametrize(
        "plan",
        [
            {"resource_changes": 7},
            {"resource_changes": [7, {"change": 7}, {"change": {"after": [1], "after_sensitive": {"a": True}}}]},
            {"configuration": 7, "variables": 7},
            {"configuration": {"provider_config": 7, "root_module": 7}, "variables": []},
        ],
    )
    def test_what_has_another_shape_stays_for_the_rules_to_refuse(self, plan):
        kept = trimmed(plan)
        assert kept.get("resource_changes") == 7 or isinstance(kept.get("resource_changes", []), list)
        assert kept.get("variables") == plan.get("variables")

    def test_a_mask_of_another_shape_hides_nothing_and_a_whole_one_everything(self):
        change = {"actions": ["create"], "after": {"a": ["x", "y"], "b": {"c": "z"}, "d": None}}
        masks = {"a": [False, True], "b": True, "d": True}
        plan = {"resource_changes": [{"change": {**change, "after_sensitive": masks}}]}
        (kept,) = trimmed(plan)["resource_changes"]
        assert kept["change"]["after"] == {"a": ["x", "(sensitive)"], "b": "(sensitive)", "d": None}


class TestScore:
    def test_every_member_of_the_app_stands_somewhere_in_the_file(self):
        document = yaml.safe_load(SCORE)
        manifest, origins = mapped(document, "f")
        for path, _ in places(manifest["spec"], ("spec",)):
            place = place_of(to_pointer(path), origins)
            node = document
            for segment in [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]:
                if isinstance(node, str):
                    break  # an item of a list that an annotation spells out in one text
                node = node.get(segment) if isinstance(node, dict) else node[int(segment)]
                assert node is not None, place

    @pytest.mark.parametrize(
        ("written", "mebibytes"),
        [("256Mi", 256), ("1Gi", 1024), ("1048576", 1), ("1M", 0.95367431640625), ("lots", "lots")],
    )
    def test_quantities(self, written, mebibytes):
        text = SCORE.replace("memory: 4Gi", f'memory: "{written}"')
        assert mapped(yaml.safe_load(text), "f").manifest["spec"]["runtime"]["caps"]["memoryMiB"] == mebibytes

    def test_cores(self):
        caps = mapped(yaml.safe_load(SCORE), "f").manifest["spec"]["runtime"]["caps"]
        assert (caps["cpu"], caps["timeoutMs"], caps["storageMiB"]) == (0.5, 5000, 64)

    def test_variables_of_the_container_are_looked_into(self):
        text = SCORE.replace("    image:", "    variables: {PASSWORD: not-a-real-one}\n    image:")
        manifest, origins = mapped(yaml.safe_load(text), "f")
        assert manifest["spec"]["config"] == {"variables": {"PASSWORD": "not-a-real-one"}}
        assert place_of("/spec/config/variables/PASSWORD", origins) == "/containers/main/variables/PASSWORD"

    def test_what_nothing_says_stands_at_the_annotations(self):
        assert place_of("/spec/absent", {}) == "/metadata/annotations"


@pytest.mark.parametrize(
    ("name", "is_build"),
    [
        ("Dockerfile", True), ("a/Containerfile", True), ("Dockerfile.dev", True), ("web.Dockerfile", True),
        ("a\\Dockerfile", True),
        ("Dockerfile.dockerignore", False), ("mydockerfile", False), ("Dockerfile/a.yaml", False), ("Dockerfiles.md", False),
    ],
)  # fmt: skip
def test_names_of_image_builds(name, is_build):
    assert is_build_name(name) is is_build


@pytest.mark.parametrize(
    ("name", "is_workflow"),
    [
        (".github/workflows/a.yml", True), ("x/.github/workflows/a.yaml", True), ("tools/action.yml", True),
        (".github/workflows/a/b.yml", False), (".github/dependabot.yml", False), (".github/workflows/a.json", False),
    ],
)  # fmt: skip
def test_names_of_workflows(name, is_workflow):
    assert is_workflow_name(name) is is_workflow


@pytest.mark.parametrize(
    ("value", "pointer", "expected"),
    [
        ({"a": [{"name": "x"}]}, "/a/0/b", "/a/x/b"),
        ({"a": [{"address": "t.x", "name": "x"}]}, "/a/0", "/a/x t.x"),
        ({"a": ["text"]}, "/a/0", "/a/text"),
        ({"a": [{"name": "ENV", "variables": {"A": "hidden"}}]}, "/a/0", "/a/ENV A"),
        ({"a": [7]}, "/a/0", "/a/0"),
        ({"a": []}, "/a/3/b", "/a/3/b"),
        ({}, "", ""),
    ],
)
def test_lists_are_named_by_what_stands_in_them(value, pointer, expected):
    assert named_pointer(value, pointer) == expected
