"""`governance check` on what a repository holds besides manifests: each file by its own rules, at its own places."""

from __future__ import annotations

import json

import pytest

from governance.normalise.requests import normalise_document
from tests.unit.cli.samples import ACTION, DEPLOYMENT, DOCKERFILE, PLAN, SCORE, WAIVER, WORKFLOW


@pytest.fixture
def places(cli, tmp_path):
    """`places(name, text)`: {rule: the text that its violation points at}, and the exit code."""

    def call(name, text, *argv, **env):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        done = cli("check", "--format", "json", *argv, name, **env)
        rows = text.splitlines()
        found = {}
        for result in json.loads(done.out)["results"]:
            for v in result["violations"]:
                at = v["location"]
                found.setdefault(v["rule"], []).append(rows[at["line"] - 1][at["column"] - 1 :])
        return done.code, found

    return call


class TestDockerfile:
    def test_every_mistake_is_told_at_its_instruction(self, places):
        code, found = places("Dockerfile", DOCKERFILE)
        assert code == 1
        assert {rule: texts[0].split()[0] for rule, texts in found.items()} == {
            "IMG-001": "FROM", "IMG-002": "FROM", "IMG-003": "USER", "IMG-004": "ENV", "IMG-005": "ADD", "BLD-001": "RUN",
            "IMG-006": "RUN", "SEC-001": "ENV",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["Dockerfile.dev", "Containerfile", "app.dockerfile", "deploy/Dockerfile"])
    def test_it_is_known_by_its_name(self, places, name):
        assert places(name, DOCKERFILE)[0] == 1

    def test_a_good_one_is_clean(self, cli, tmp_path):
        digest = "sha256:" + "0123456789abcdef" * 4
        (tmp_path / "Dockerfile").write_text(f"FROM registry.example.com/a@{digest}\nRUN make\nUSER 10001\n")
        done = cli("check", ".")
        assert (done.code, done.out.split(": ")[-1]) == (0, "no violations\n")

    def test_standard_input_is_one_when_its_name_says_so(self, cli):
        done = cli("check", "--filename", "Dockerfile", "-", stdin=DOCKERFILE.encode())
        assert done.code == 1
        assert "Dockerfile:1:1: IMG-001" in done.out

    def test_what_is_ignored_by_the_builder_is_no_dockerfile(self, cli, tmp_path):
        (tmp_path / "Dockerfile.dockerignore").write_text("**\n")
        assert cli("check", ".").code == 2


class TestWorkflow:
    def test_every_mistake_is_told_at_its_place(self, places):
        code, found = places(".github/workflows/ci.yml", WORKFLOW)
        assert code == 1
        assert {rule: texts[0].split(":")[0] for rule, texts in found.items()} == {
            "PIPE-002": "uses", "PIPE-003": "permissions", "PIPE-004": "uses", "PIPE-005": "run", "PIPE-006": "secrets",
            "BLD-001": "run", "SEC-001": "API_TOKEN",
        }  # fmt: skip

    def test_a_folder_is_looked_into_for_workflows_though_it_is_hidden(self, cli, tmp_path):
        (tmp_path / ".github" / "workflows").mkdir(parents=True)
        (tmp_path / ".github" / "workflows" / "ci.yml").write_text(WORKFLOW)
        done = cli("check")
        assert done.code == 1
        assert ".github/workflows/ci.yml:" in done.out

    def test_an_action_of_the_repository_counts_too(self, places):
        code, found = places("tools/action.yml", ACTION)
        assert (code, set(found)) == (1, {"PIPE-005"})

    def test_a_workflow_without_jobs_is_no_clean_workflow(self, cli, tmp_path):
        (tmp_path / ".github" / "workflows").mkdir(parents=True)
        (tmp_path / ".github" / "workflows" / "ci.yml").write_text("name: nothing\n")
        done = cli("check")
        assert done.code == 1
        assert "holds no workflow" in done.err


class TestPlan:
    def test_every_mistake_is_told_at_its_place_in_the_json(self, places):
        code, found = places("plan.json", json.dumps(PLAN, indent=1))
        assert code == 1
        assert found["INF-002"][0].startswith('"acl": "public-read"')
        assert found["INF-004"][0].startswith("{")
        assert found["INF-005"][0].startswith('"availability_zone": "ap-south-1a"')
        assert set(found) == {"INF-002", "INF-003", "INF-004", "INF-005", "INF-006", "INF-007", "SEC-001"}

    def test_one_line_has_columns(self, places):
        _, found = places("plan.json", json.dumps(PLAN))
        assert found["INF-002"][0].startswith('"acl": "public-read"')

    def test_a_tenant_s_regions_count_where_it_is_named(self, places):
        plan = {**PLAN, "resource_changes": []}
        plan["configuration"] = {
            "provider_config": {"aws": {"name": "aws", "expressions": {"region": {"constant_value": "eu-west-2"}}}}
        }
        assert places("plan.json", json.dumps(plan))[0] == 0
        code, found = places("plan.json", json.dumps(plan), "--tenant", "marketing")
        assert (code, set(found)) == (1, {"INF-005"})

    def test_sensitive_values_go_no_further_than_the_reader(self, cli, tmp_path, source):
        change = {"actions": ["create"], "after": {"password": "correct horse", "a": [{"b": "x"}]}}
        change["after_sensitive"] = {"password": True, "a": [{"b": True}]}
        resource = {"format_version": "1.2", "resource_changes": [{"type": "t", "change": change}],
                    "prior_state": {"secret": "battery staple"}, "variables": {"v": {"value": "tr0ub4dor"}},
                    "configuration": {"root_module": {"variables": {"v": {"sensitive": True}}}}}  # fmt: skip
        text = normalise_document({"kind": "infrastructure", "resource": resource}, source).text
        assert "(sensitive)" in text
        assert not any(secret in text for secret in ("correct horse", "battery", "tr0ub4dor", '"x"'))


class TestScore:
    def test_it_is_decided_on_as_the_app_that_it_describes(self, places):
        code, found = places("score.yaml", SCORE)
        assert code == 1
        assert {rule: texts[0].split(":")[0] for rule, texts in found.items()} == {
            "CONN-001": "hr", "CONN-004": "hr", "CONN-005": "hr", "DATA-005": "hr", "DATA-007": "microapps.internal/retention",
            "OAUTH-001": '"admin"]', "OAUTH-003": '"admin"]', "RUN-002": "memory", "RUN-004": "image", "TPL-002": "hr",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("before", "after", "place"),
        [
            ("score.dev/v1b1", "score.dev/v2", "/apiVersion"),
            ("type: connector", "type: postgres", "/resources/hr/type"),
            ("  main:\n", "  other: {image: x}\n  main:\n", "/containers"),
            ("internal/audience", "internal/audiences", "/metadata/annotations/microapps.internal~1audiences"),
            ("containers:", "sidecars: {}\ncontainers:", "/sidecars"),
        ],
    )
    def test_what_no_rule_would_see_is_refused(self, cli, before, after, place):
        done = cli("check", "-", stdin=SCORE.replace(before, after).encode())
        assert done.code == 1
        assert f"<stdin>: document 1{place}: " in done.err

    def test_nothing_is_fixed_in_a_file_of_another_form(self, cli, tmp_path):
        (tmp_path / "score.yaml").write_text(SCORE)
        assert cli("check", "--fix", "score.yaml").code == 1
        assert (tmp_path / "score.yaml").read_text() == SCORE


class TestKubernetes:
    def test_objects_become_the_request_that_the_webhook_makes(self, cli):
        done = cli("check", "--format", "json", "-", stdin=DEPLOYMENT.encode())
        (result,) = json.loads(done.out)["results"]
        assert (result["kind"], result["name"]) == ("workload", "Deployment/shop/web")

    def test_a_list_is_opened_and_each_object_stands_where_it_stands(self, cli):
        items = "".join("  - " + DEPLOYMENT.replace("\n", "\n    ").rstrip() + "\n" for _ in range(2))
        app = "  - {apiVersion: microapps.internal/v1alpha1, kind: MicroApp, metadata: {name: x}, spec: {tenant: nobody}}\n"
        done = cli("check", "--format", "json", "-", stdin=f"apiVersion: v1\nkind: List\nitems:\n{items}{app}".encode())
        results = json.loads(done.out)["results"]
        assert [(r["object"], r["kind"]) for r in results] == [
            ("/items/0", "workload"), ("/items/1", "workload"), ("/items/2", "deploy"),
        ]  # fmt: skip
        tenant = next(v for v in results[2]["violations"] if v["rule"] == "REQ-003")
        assert (tenant["path"], tenant["location"]["line"]) == (
            "/items/2/spec/tenant",
            3 + 2 * len(DEPLOYMENT.splitlines()) + 1,
        )

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: v1\nkind: PodList\nitems: [{metadata: {name: a}, spec: {}}]\n",
            "apiVersion: v1\nkind: PodList\nitems: [{kind: ConfigMap, metadata: {name: a}, spec: {}}]\n",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod}]}\n",
        ],
    )
    def test_every_sort_of_list(self, cli, text):
        done = cli("check", "--format", "json", "-", stdin=text.encode())
        assert [r["kind"] for r in json.loads(done.out)["results"]] == ["workload"]
        assert "PSS-001" in {v["rule"] for v in json.loads(done.out)["results"][0]["violations"]}

    @pytest.mark.parametrize("head", ["apiVersion: v1\nkind: Shelf\n", "apiVersion: example.com/v1\nkind: Pods\n"])
    def test_what_kubectl_takes_for_a_list_is_refused_under_whichever_name(self, cli, head):
        done = cli("check", "--format", "json", "-", stdin=f"{head}items:\n- {{apiVersion: v1, kind: Pod}}\n".encode())
        (result,) = json.loads(done.out)["results"]
        assert (done.code, [v["rule"] for v in result["violations"]]) == (1, ["PSS-001"])

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: x}\n",
            "apiVersion: v1\nkind: Config\nclusters: []\n",
            "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: x}\n",
            "apiVersion: v2\nname: chart\n",
        ],
    )
    def test_what_no_api_server_sees_is_somebody_else_s(self, cli, text):
        assert cli("check", "-", stdin=text.encode()).code == 2

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: !!str v1\n", "apiVersion: &v v1\nx: yes\n", "apiVersion: >-\n  v1\nx: yes\n",
            "? apiVersion\n: v1\nx: yes\n",
            '"apiVersi\\u006fn": !!str v1\n', '"api\\x56ersion": !!str v1\n', '"apiVer\\\n  sion": !!str v1\n',
            "!!binary YXBpVmVyc2lvbg==: v1\n", '"apiVersi\\U0000006fn": !!str v1\n',
        ],
    )  # fmt: skip
    def test_a_manifest_that_only_others_read_fails_the_check(self, cli, tmp_path, text):
        pod = text + "kind: Pod\nmetadata: {name: a}\nspec: {hostNetwork: true, containers: [{name: a, image: a}]}\n"
        (tmp_path / "good.yaml").write_text(DEPLOYMENT)
        for raw in (pod.encode(), pod.encode("utf-16")):
            (tmp_path / "pod.yaml").write_bytes(raw)
            done = cli("check", "good.yaml", "pod.yaml")
            assert (done.code, "pod.yaml" in done.out + done.err) == (1, True), done.out + done.err

    def test_a_manifest_behind_a_long_comment_fails_the_check_and_long_data_does_not(self, cli, tmp_path):
        (tmp_path / "good.yaml").write_text(DEPLOYMENT.replace("hostNetwork: true", "hostNetwork: false"))
        (tmp_path / "long.yaml").write_text("# words\n" * 300_000 + "data: 1\n")
        assert "not readable" not in cli("check").out
        with (tmp_path / "long.yaml").open("a") as file:
            file.write("---\napiVersion: v1\nkind: Pod\n")
        done = cli("check")
        assert (done.code, "long.yaml" in done.out + done.err) == (1, True)

    def test_a_file_in_capitals_is_looked_at(self, cli, tmp_path):
        (tmp_path / "POD.YAML").write_text(DEPLOYMENT)
        assert "POD.YAML" in cli("check").out

    def test_a_chart_s_templates_are_named_and_skipped(self, cli, tmp_path):
        (tmp_path / "c" / "templates").mkdir(parents=True)
        (tmp_path / "c" / "Chart.yaml").write_text("apiVersion: v2\nname: c\n")
        (tmp_path / "c" / "templates" / "web.yaml").write_text("apiVersion: apps/v1\nkind: {{ .Values.kind }}\n")
        (tmp_path / "d.yaml").write_text(DEPLOYMENT)
        done = cli("check")
        assert "helm template" in done.err
        assert "2 skipped" in done.out

    def test_the_same_text_elsewhere_is_a_manifest_that_cannot_be_read(self, cli, tmp_path):
        (tmp_path / "web.yaml").write_text("apiVersion: apps/v1\nkind: {{ .Values.kind }}\n")
        done = cli("check")
        assert done.code == 1
        assert "1 not readable" in done.out


def test_a_waiver_that_approves_itself_is_refused(places):
    code, found = places("waiver.yaml", WAIVER.replace("approver: compliance@", "approver: Lead@"))
    assert (code, found["REG-001"]) == (1, ["approver: Lead@example.com"])


def test_a_registry_file_of_the_wrong_shape_is_refused_at_its_place(places):
    code, found = places("waiver.yaml", WAIVER.replace("reason:", "reasons:"))
    assert (code, set(found)) == (1, {"REQ-006"})
