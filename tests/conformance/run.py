"""OPA's public conformance cases against our compiler and engine, through `governance rules eval --batch`.

Where Go is present, the module proxy gives OPA's source, its YAML test cases with it; nothing of it is kept in this
repository. Prints pass, fail and skip, failures by folder and cause, and the two counts that matter most: cases where we
give a result and OPA gives none. Exit 1 below the floor in `floor.json`, or when one of those is not zero.

    python tests/conformance/run.py [--version v1|v0] [--show FOLDER] [--jobs 2]
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FLOOR = Path(__file__).with_name("floor.json")
OPA = "github.com/open-policy-agent/opa@v1.22.2"


def cases_folder(version: str) -> Path | None:
    """The folder of OPA's cases in Go's module cache; None where there is no Go."""
    if shutil.which("go") is None:
        return None
    done = subprocess.run(["go", "mod", "download", "-json", OPA], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        print(f"the Go module proxy gave nothing: {done.stderr.strip()[:200]}")
        return None
    return Path(json.loads(done.stdout)["Dir"]) / "v1" / "test" / "cases" / "testdata" / version


def load(folder: Path) -> list[dict]:
    """Every case, with the folder it lies in."""
    found = []
    for file in sorted(folder.glob("*/*.yaml")):
        cases = (yaml.load(file.read_text(), yaml.CSafeLoader) or {}).get("cases", [])
        found += [{**case, "folder": file.parent.name} for case in cases]
    return found


def question(number: int, case: dict, version: str) -> dict:
    """The case as one line of a batch."""
    modules = {f"module{i}.rego": text for i, text in enumerate(case.get("modules") or [])}
    row = {
        "id": number,
        "query": case["query"],
        "modules": modules,
        "data": case.get("data") or {},
        "v0": version == "v0",
    }
    if "input" in case:
        row["input"] = case["input"]
    row["strict"] = bool(case.get("strict_error"))
    return row


def answers(questions: list[dict], jobs: int) -> list[dict]:
    """All answers, from `jobs` processes side by side."""
    shares = [questions[i::jobs] for i in range(jobs)]
    running = []
    for share in shares:
        text = "".join(json.dumps(q) + "\n" for q in share)
        process = subprocess.Popen(
            [sys.executable, "-c", "from governance.entrypoints.cli.main import main; main()", "rules", "eval", "--batch", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        running.append((process, text))
    import threading

    outputs: dict[int, str] = {}

    def talk(index: int) -> None:
        process, text = running[index]
        outputs[index] = process.communicate(text)[0]

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [json.loads(line) for output in outputs.values() for line in output.splitlines()]
    return sorted(found, key=lambda row: row["id"])


def normal(value: object, *, sort: bool) -> object:
    """Numbers as numbers, and where the case says so bindings in any order."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        items = [normal(item, sort=sort) for item in value]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if sort else items
    if isinstance(value, dict):
        return {str(key): normal(item, sort=sort) for key, item in value.items()}
    return value


def judged(case: dict, answer: dict) -> tuple[str, str]:
    """(pass | fail | open, cause). `open`: a result where OPA has an error or none."""
    wants_error = "want_error" in case or "want_error_code" in case
    has_error = "error" in answer
    if has_error:
        code = answer["error"]["code"]
        return ("pass", "") if wants_error else ("fail", f"{code}: {answer['error']['message'][:90]}")
    result = answer["result"]
    if wants_error:
        return (
            "open" if result else "fail"
        ), f"no error, wanted {case.get('want_error_code') or case.get('want_error')}"
    wanted = case.get("want_result")
    if wanted is None and "want_defined" in case:
        is_right = bool(result) == bool(case["want_defined"])
        return ("pass", "") if is_right else ("open" if result else "fail", "defined or not")
    wanted = wanted or []
    if [normal(row, sort=True) for row in sorted_rows(result)] == [
        normal(row, sort=True) for row in sorted_rows(wanted)
    ]:
        return "pass", ""
    return ("open" if result and not wanted else "fail"), "another result"


def sorted_rows(rows: list) -> list:
    """Solutions come in any order."""
    return sorted(rows, key=lambda row: json.dumps(normal(row, sort=True), sort_keys=True))


def main() -> int:
    """Run, print, compare with the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", choices=("v1", "v0"), default="v1")
    parser.add_argument("--show", default="", help="print each failure of this folder")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    folder = cases_folder(options.version)
    if folder is None:
        print("conformance: SKIPPED, Go is not on this machine (it fetches OPA's cases)")
        return 0
    cases = load(folder)
    runnable = [c for c in cases if "input_term" not in c]
    found = answers([question(i, c, options.version) for i, c in enumerate(runnable)], options.jobs)
    return report(runnable, found, len(cases) - len(runnable), options)


def report(cases: list[dict], found: list[dict], skipped: int, options: argparse.Namespace) -> int:
    """Print the counts and say whether they are good enough."""
    totals: collections.Counter[str] = collections.Counter()
    causes: collections.Counter[tuple[str, str]] = collections.Counter()
    for case, answer in zip(cases, found, strict=True):
        verdict, cause = judged(case, answer)
        totals[verdict] += 1
        if verdict != "pass":
            causes[case["folder"], cause] += 1
            if verdict == "open" or case["folder"] == options.show:
                print(f"{verdict.upper()} {case['note']}: {cause}")
                if case["folder"] == options.show:
                    print("   want", case.get("want_result"), "got", json.dumps(answer.get("result"))[:300])
    for (name, cause), count in causes.most_common(400):
        print(f"{count:>4}  {name}: {cause}")
    share = 100 * totals["pass"] / max(1, sum(totals.values()))
    print(f"{options.version}: {totals['pass']} pass, {totals['fail'] + totals['open']} fail, {skipped} skip")
    print(f"{share:.1f} % of the {sum(totals.values())} that can be asked in JSON")
    print(f"a result where OPA has none: {totals['open']}")
    floor = json.loads(FLOOR.read_text())[options.version]
    good = share >= floor["percent"] and totals["open"] <= floor["open"]
    print("at or above the floor" if good else f"BELOW THE FLOOR {floor}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
