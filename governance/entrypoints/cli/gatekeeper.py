"""`governance rules import-gatekeeper`: ConstraintTemplates and Constraints to a bundle, and gator's suites against it."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple, TextIO

from governance.documents.files import read_whole
from governance.errors import CallerError
from governance.model.facts import Facts
from governance.model.moment import utc_now
from governance.model.request import Source as Asker
from governance.normalise.admission import API_VERSION, request_of, review_of
from governance.normalise.documents import read_documents
from governance.normalise.requests import normalise_document
from governance.policy.bundle_yaml import load_data
from governance.policy.decide import policy_input
from governance.policy.gatekeeper.bundle import ROOTS, Source, bundle_files, import_documents
from governance.policy.gatekeeper.suite import Asked, run_suite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from governance.model.request import Json
    from governance.policy.gatekeeper.bundle import Imported
    from governance.policy.gatekeeper.suite import Outcome

_ENDINGS = (".yaml", ".yml", ".json")
_GROUPS = (b"templates.gatekeeper.sh", b"constraints.gatekeeper.sh")
_SUITE = "suite.yaml"
_DESCRIPTION = """Turns Gatekeeper's ConstraintTemplates and Constraints into a bundle that serves beside the rule pack:
`governance serve --bundle DIR`, `governance check --bundle DIR`. Each constraint becomes a rule named Kind/name; its
enforcementAction becomes the rule's mode (deny: enforce, warn: warn, dryrun: shadow).

All or nothing: what cannot be imported is named with its reason, and unless --partial is given nothing is written then.
Not imported: CEL templates, external data, http.send and other builtins that do not give the same answer twice, mutation,
expansion, match.source Generated. A namespaceSelector needs the Namespace objects in the inventory; without them the
constraint is violated wherever its other conditions hold. data.inventory is the snapshot that --inventory names.

exit codes: 0 all imported, all cases pass; 1 something was refused or failed; 2 wrong use
"""


class _Suite(NamedTuple):
    file: str
    outcomes: list[Outcome]


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Import, run suites, or both."""
    options = _parser().parse_args(argv)
    if not options.paths and not options.suite:
        raise CallerError("nothing to import", hint="name files or folders, or --suite FILE")
    suites = [_Suite(file, _run_suite(file)) for path in options.suite for file in _suites_in(path)]
    if options.suite and not suites:
        raise CallerError(f"no {_SUITE} is there, so 0 cases were run", where=options.suite[0])
    imported = _import(options, stdin) if options.paths else None
    is_written = imported is not None and _is_to_write(imported, options)
    if imported is not None and is_written:
        _write(options.out, bundle_files(imported))
    _tell(imported, suites, options, stdout, is_written=is_written)
    failed = any(outcome.status == "fail" for suite in suites for outcome in suite.outcomes)
    return 1 if failed or (imported is not None and imported.refused) else 0


def _import(options: argparse.Namespace, stdin: TextIO) -> Imported:
    broken: list[str] = []
    documents = list(_documents(options.paths, stdin, broken))
    inventory = None
    if options.inventory is not None:
        inventory = [source for path in options.inventory for file in _walk(path) for source in _read(file)]
    imported = import_documents(documents, inventory)
    if not (imported.templates or imported.refused or broken):
        raise CallerError("no ConstraintTemplate is there, so nothing was imported", where=options.paths[0])
    return imported._replace(refused=(*broken, *imported.refused))


def _is_to_write(imported: Imported, options: argparse.Namespace) -> bool:
    return bool(options.out and imported.constraints and (options.partial or not imported.refused))


def _documents(paths: Sequence[str], stdin: TextIO, broken: list[str]) -> Iterator[Source]:
    for path in paths:
        if path == "-":
            yield from _sources(stdin.buffer.read(), "<stdin>")
            continue
        for file in _walk(path):
            raw = read_whole(file)
            # In a folder there is more than Gatekeeper's; a file that was named itself is read whatever it holds.
            if path != file and not any(group in raw for group in _GROUPS):
                continue
            try:
                yield from _sources(raw, file)
            except CallerError as error:
                broken.append(str(error))


def _read(file: str) -> list[Source]:
    return _sources(read_whole(file), file)


def _sources(raw: bytes, file: str) -> list[Source]:
    documents = read_documents(raw, file, max_bytes=64 << 20)
    is_many = len(documents) > 1
    return [Source(d.value, f"{file} (document {d.index + 1})" if is_many else file) for d in documents]


def _walk(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (os.path.join(folder, file) for file in sorted(files) if file.endswith(_ENDINGS))


def _suites_in(path: str) -> list[str]:
    return [f for f in _walk(path) if os.path.basename(f) == _SUITE] if os.path.isdir(path) else [path]


def _run_suite(file: str) -> list[Outcome]:
    import yaml

    try:
        # `yes` and `no` are words of the format, which the strict reader would refuse.
        suite = load_data(read_whole(file))
    except yaml.YAMLError as error:
        raise CallerError(f"not YAML: {' '.join(str(error).split())[:160]}", where=file) from error
    folder = os.path.dirname(file)
    return run_suite(suite, lambda name: _read(os.path.join(folder, name)), _question)


def _question(value: Json, _where: str) -> Asked:
    """What the webhook would make of the object: the same reading, the same policy input."""
    asker = Asker("cli.suite", "suite", ("service",))
    if isinstance(value, dict) and value.get("kind") == "AdmissionReview":
        request = request_of(review_of(_current(value)), asker)
    else:
        # As gator has it: a namespace that the object does not name is none.
        metadata = value.get("metadata") if isinstance(value, dict) else None
        namespace = (metadata.get("namespace") if isinstance(metadata, dict) else None) or ""
        document = {"kind": "workload", "resource": value, "context": {"namespace": namespace}}
        request = normalise_document(document, asker)
    return Asked(request.kind, policy_input(request, Facts({}, "", "{}"), utc_now()))


def _current(review: dict[str, Json]) -> dict[str, Json]:
    """A review of a suite in today's version: the older one has the same members, and written by hand it has no uid."""
    asked = review.get("request")
    uid = {"uid": "suite"} if isinstance(asked, dict) and not asked.get("uid") else {}
    version = API_VERSION if review.get("apiVersion") == "admission.k8s.io/v1beta1" else review.get("apiVersion")
    return {**review, "apiVersion": version, "request": {**asked, **uid} if isinstance(asked, dict) else asked}


def _write(folder: str, files: dict[str, bytes]) -> None:
    """The whole bundle or the old one: written beside it and moved into its place."""
    folder = folder.rstrip("/")
    if os.path.exists(folder) and not _is_import(folder):
        raise CallerError("is there and is no earlier import", where=folder, hint="name a new folder with --out")
    fresh, old = f"{folder}.new-{os.getpid()}", f"{folder}.old-{os.getpid()}"
    try:
        for name, raw in files.items():
            file = os.path.join(fresh, name)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as stream:
                stream.write(raw)
        if os.path.exists(folder):
            os.rename(folder, old)
        os.rename(fresh, folder)
    except OSError as error:
        raise CallerError(f"cannot be written: {error.strerror}", where=folder) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _is_import(folder: str) -> bool:
    if os.path.isdir(folder) and not os.listdir(folder):
        return True
    try:
        with open(os.path.join(folder, ".manifest"), "rb") as stream:
            manifest = json.load(stream)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("roots") == ROOTS


def _tell(
    imported: Imported | None, suites: list[_Suite], options: argparse.Namespace, stdout: TextIO, *, is_written: bool
) -> None:
    if options.format == "json":
        body: dict[str, Json] = {
            "suites": [{"file": s.file, "outcomes": [o._asdict() for o in s.outcomes]} for s in suites]
        }
        if imported is not None:
            rows = [{"id": c.id, "mode": c.mode, "file": c.where, "notes": list(c.notes)} for c in imported.constraints]
            body |= {
                "imported": rows,
                "refused": list(imported.refused),
                "written": options.out if is_written else None,
            }
        stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
        return
    for suite in suites:
        failed = [outcome for outcome in suite.outcomes if outcome.status == "fail"]
        stdout.writelines(f"{suite.file}: FAIL {o.test} / {o.case}: {o.reason}\n" for o in failed)
    if suites:
        counts = [o.status for suite in suites for o in suite.outcomes]
        told = ", ".join(f"{counts.count(word)} {word}" for word in ("pass", "fail", "skip"))
        stdout.write(f"{len(suites)} suites, {len(counts)} cases: {told}\n")
    if imported is not None:
        stdout.write(_told(imported, options, is_written=is_written))


def _told(imported: Imported, options: argparse.Namespace, *, is_written: bool) -> str:
    rows = []
    for constraint in imported.constraints:
        rows.append(f"{constraint.id} ({constraint.mode}) from {constraint.where}")
        rows += [f"    note: {note}" for note in constraint.notes]
    idle = {template.kind for template in imported.templates} - {c.kind for c in imported.constraints}
    rows += [f"{kind}: a template without a constraint asks for nothing" for kind in sorted(idle)]
    rows += [f"not imported: {reason}" for reason in imported.refused]
    tally = f"{len(imported.templates)} templates and {len(imported.constraints)} constraints, {len(imported.refused)} refused"
    if is_written:
        end = f"written to {options.out}; serve it with: governance serve --bundle {options.out}"
    elif options.out and imported.refused:
        end = "nothing was written; --partial writes what could be imported"
    else:
        end = "nothing was written" + ("" if options.out else "; --out DIR writes the bundle")
    return "\n".join([*rows, f"{tally}: {end}"]) + "\n"


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        "governance rules import-gatekeeper",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="files or folders with templates and constraints; - reads standard input",
    )
    parser.add_argument(
        "--out", default="", metavar="DIR", help="where to write the bundle; an earlier import is replaced"
    )
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="PATH",
        help=f"a gator suite, or a folder of {_SUITE} files; may be repeated",
    )
    parser.add_argument(
        "--inventory", action="append", metavar="PATH", help="files or folders of cluster objects for data.inventory"
    )
    parser.add_argument(
        "--partial", action="store_true", help="write what could be imported although something was refused"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    return parser
