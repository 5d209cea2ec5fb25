"""The Pod Security Standards' own fixtures against our rules: each profile, each version, each check, pass and fail.

Where Go is present, the module proxy gives Kubernetes' `pod-security-admission`, its fixtures with it; nothing of it is
kept in this repository. Each pod goes through the webhook's own way (review, request, line), as it is and in the template
of a Deployment and of a CronJob. Prints the tally, and every pod whose verdict is another than the fixture's; exit 1 then.

    python tests/conformance/pod_security.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from governance.model.request import Source
from governance.normalise.admission import request_of, review_of
from governance.pipeline import Pipeline
from governance.settings import from_environment
from governance.wiring import for_check

STANDARD = "k8s.io/pod-security-admission@v0.37.2"
SOURCE = Source("webhook.validate", "kube-apiserver", ("service",))


def fixtures() -> Path | None:
    """The folder of the fixtures in Go's module cache; None where there is no Go."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        return None
    done = subprocess.run(
        [go, "mod", "download", "-json", STANDARD], capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode != 0:
        print(f"the Go module proxy gave nothing: {done.stderr.strip()[:200]}")
        return None
    return Path(json.loads(done.stdout)["Dir"]) / "test" / "testdata"


def kept_by(pod: dict) -> Iterator[dict]:
    """The pod itself, and objects that keep it in a template."""
    template = {"metadata": pod.get("metadata", {}), "spec": pod["spec"]}
    about = {"metadata": {"name": "kept"}}
    yield pod
    yield {"apiVersion": "apps/v1", "kind": "Deployment", **about, "spec": {"template": template}}
    job = {"spec": {"template": template}}
    yield {"apiVersion": "batch/v1", "kind": "CronJob", **about, "spec": {"jobTemplate": job}}


def broken_rules(line: Pipeline, target: dict, profile: str, version: str) -> tuple[bool, list[str]]:
    """Whether the object is allowed, and the ids that a deny rests on."""
    named = {"kind": {"kind": target["kind"]}}
    asked = {"uid": "1", "operation": "CREATE", "object": target, "oldObject": None, **named}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    review = review_of(body, {"profile": profile, "pss_version": version})
    decision = line.assess(request_of(review, SOURCE)).decision
    return decision.is_allowed, sorted({v.rule for v in decision.violations if v.effect == "deny"})


def main() -> int:
    """Compare, print, and say by the exit code whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only files whose path contains this")
    only = parser.parse_args().only
    folder = fixtures()
    if folder is None:
        print("skipped: no Go, so nobody can fetch the standard's fixtures")
        return 0
    line = for_check(from_environment({}))
    tally: collections.Counter[tuple[str, str]] = collections.Counter()
    wrong = 0
    for file in sorted(folder.glob("*/v*/*/*.yaml")):
        profile, version, wanted, name = file.relative_to(folder).parts
        if only not in str(file.relative_to(folder)):
            continue
        for target in kept_by(yaml.load(file.read_text(), yaml.CSafeLoader)):
            is_allowed, rules = broken_rules(line, target, profile, version)
            tally[profile, wanted] += 1
            if is_allowed != (wanted == "pass") or (wanted == "fail" and not any(r.startswith("PSS-") for r in rules)):
                wrong += 1
                print(f"{profile} {version} {wanted} {name} as {target['kind']}: {rules or 'allowed'}")
    for (profile, wanted), count in sorted(tally.items()):
        print(f"{profile:<12}{wanted:<6}{count:>6}")
    print(f"{tally.total()} objects, {wrong} judged otherwise than the standard has it")
    return 1 if wrong or not tally else 0


if __name__ == "__main__":
    sys.exit(main())
