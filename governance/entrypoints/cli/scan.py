"""`governance scan`: personal data and secrets in files, folders or a stream, with place and kind, never with the value.

Facts only: it says what the line would find in such a document, and decides nothing. JSON, YAML, CSV and settings files are
looked at member by member, so that names count; everything else, and what cannot be read as what it is called, line by line.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple, TextIO

from governance.errors import CallerError, GovernanceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.enrich.pii.policy import ScanPolicy
    from governance.entrypoints.cli.documents_to_scan import Part
    from governance.model.request import Json

HELP = """usage: governance scan PATH … [--format text|json|sarif] [--bundle PATH]

Look for personal data and secrets in files and folders; '-' reads standard input. Values are never printed. Nothing is
recorded or decided: rules say what a finding means where data moves (data flows, connector calls, manifests).

  --format   text (default), json, or sarif (2.1.0)
  --bundle   look for what `scanner` in this bundle's data says; `home`: in the bundle that the settings name or that is in
             force in this home, which is also what counts without the option; `none`: for everything that is known here

Names in free text are not found. Exit codes: 0 nothing found, 1 findings or files that could not be looked at, 2 wrong use
or nothing to look at.
"""
_FORMATS = ("text", "json", "sarif")


class Found(NamedTuple):
    """One finding at its place."""

    file: str
    line: int
    column: int
    pointer: str
    """Into the document; empty for plain text."""
    sort: str
    """`pii` or `secret`."""
    entity: str
    score: float


class _Scanned(NamedTuple):
    found: list[Found]
    problems: list[tuple[str, str]]
    """(file, why it could not be looked at)."""
    files: int
    binary: int
    policy: str = ""
    """Revision of the bundle that said what to look for; empty for what comes with the program."""


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 0 when nothing was found, 1 when something was or could not be looked at, 2 for wrong use."""
    if "-h" in argv or "--help" in argv:
        stdout.write(HELP)
        return 0
    paths, shape, bundle = _options(argv)
    policy, revision = _policy(bundle)
    if revision:
        countries = " ".join(sorted(policy.countries))
        stderr.write(f"scanner policy of {revision}: {countries}; least score {policy.least_score}\n")
    scanned = _scanned(paths, stdin, policy)
    stderr.writelines(f"{file}: not looked at: {why}\n" for file, why in scanned.problems)
    if scanned.files == scanned.binary:
        raise CallerError(f"0 files to look at, {scanned.binary} binary ones", hint="governance scan --help")
    stdout.write({"text": _text, "json": _json, "sarif": _sarif}[shape](scanned._replace(policy=revision)))
    return 1 if scanned.found or scanned.problems else 0


def _policy(bundle: str) -> tuple[ScanPolicy, str]:
    """What is looked for, and the revision of the bundle that says so; empty for what comes with the program."""
    from governance.enrich.pii.policy import ScanPolicy

    if bundle == "none":
        return ScanPolicy(), ""
    from governance.settings import Settings, from_environment
    from governance.wiring import active_of, has_a_bundle, scan_policy_of

    settings = from_environment(os.environ)
    if not bundle and not has_a_bundle(settings):
        return ScanPolicy(), ""
    if bundle not in {"", "home"}:
        settings = Settings({**settings.values, "extra_bundles": bundle})
    active = active_of(settings)
    try:
        return scan_policy_of(lambda: active)(), active.revision
    except (ValueError, TypeError) as error:
        raise CallerError(str(error), where=bundle or "home", hint="mend `scanner` in the bundle's data") from error


def _scanned(paths: Sequence[str], stdin: TextIO, policy: ScanPolicy) -> _Scanned:
    from governance.entrypoints.cli.documents_to_scan import parts_of
    from governance.entrypoints.cli.files import files_below

    found: list[Found] = []
    problems: list[tuple[str, str]] = []
    files = binary = 0
    for path in paths:
        for file in ["<stdin>"] if path == "-" else files_below(path, lambda _: True):
            files += 1
            try:
                with nullcontext(stdin.buffer) if file == "<stdin>" else open(file, "rb") as stream:
                    parts = parts_of(stream, file)
                    if parts is None:
                        binary += 1
                        continue
                    for part in parts:
                        # A line is looked at as a whole and as a setting: what both find is one finding.
                        found += dict.fromkeys(_in_part(part, file, policy))
            except OSError as error:
                raise CallerError(f"cannot be read: {error.strerror}", where=file) from error
            except GovernanceError as error:
                problems.append((file, str(error)))
    return _Scanned(found, problems, files, binary)


def _in_part(part: Part, file: str, policy: ScanPolicy) -> Iterator[Found]:
    """What the line's own scanner finds, in the strictness that it has for data on the move."""
    from governance.enrich.scan import ScanFacts, shown
    from governance.model.request import Source
    from governance.normalise.requests import normalise_document

    request = normalise_document(
        {"kind": "data_flow", "resource": {"payload": part.value}}, Source("cli.scan", f"os:{os.getuid()}")
    )
    facts = ScanFacts(lambda: policy).facts(request)
    for sort, key in (("secret", "secrets"), ("pii", "pii")):
        for finding in facts[key]:
            pointer = str(finding["pointer"]).removeprefix("/payload")
            line, column = part.place(pointer)
            told = shown(pointer) if part.is_document else ""
            yield Found(file, line, column, told, sort, str(finding["entity"]), float(finding["score"]))


def _text(scanned: _Scanned) -> str:
    rows = [
        f"{f.file}:{f.line}:{f.column}: {f.sort} {f.entity} ({f.score:.2f}){' ' + f.pointer if f.pointer else ''}\n"
        for f in scanned.found
    ]
    secrets = sum(1 for f in scanned.found if f.sort == "secret")
    told = f"{secrets} secrets, {len(scanned.found) - secrets} personal"
    if scanned.problems:
        told += f", {len(scanned.problems)} files not looked at"
    return "".join(rows) + f"{scanned.files} files, {scanned.binary} of them binary and skipped: {told}\n"


def _json(scanned: _Scanned) -> str:
    import json

    document = {
        "files": scanned.files,
        "binary": scanned.binary,
        "policy": scanned.policy,
        "problems": [{"file": file, "message": why} for file, why in scanned.problems],
        "findings": [finding._asdict() for finding in scanned.found],
    }
    return json.dumps(document, indent=2) + "\n"


def _sarif(scanned: _Scanned) -> str:
    import hashlib

    from governance.entrypoints.cli.findings import shown_path
    from governance.entrypoints.cli.sarif import Row, descriptor, document, level_of

    severities = {"secret": "critical", "pii": "medium"}
    kinds = sorted({(f.sort, f.entity) for f in scanned.found})
    descriptors: list[Json] = [
        descriptor(f"{sort}/{entity}", f"{entity} ({sort})", f"A value that looks like {entity}.", severities[sort])
        for sort, entity in kinds
    ]
    seen: dict[str, int] = {}
    rows: list[Row] = []
    for f in scanned.found:
        # Without the value, which could be guessed from a digest, and without the line, which moves.
        mark = hashlib.sha256(f"{f.entity}\n{shown_path(f.file)}\n{f.pointer}".encode()).hexdigest()[:32]
        seen[mark] = seen.get(mark, 0) + 1
        message = f"This looks like {f.entity} ({f.sort})."
        name = f"{f.sort}/{f.entity}"
        rows.append(Row(name, f.file, f.line, f.column, message, level_of(severities[f.sort]), f"{mark}:{seen[mark]}"))
    if scanned.problems:
        descriptors.append(descriptor("not-readable", "A file was not looked at", "Look at it by hand.", "high"))
        rows += [Row("not-readable", file, 1, 1, why, "error") for file, why in scanned.problems]
    return document(descriptors, rows, {"files": scanned.files, "binary": scanned.binary, "policy": scanned.policy})


def _options(argv: Sequence[str]) -> tuple[list[str], str, str]:
    paths: list[str] = []
    shape, bundle = "text", ""
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, is_joined, value = word.partition("=")
        if name == "--format":
            if not is_joined and not rest:
                raise CallerError("--format needs a value", hint="governance scan --help")
            shape = value if is_joined else rest.pop(0)
        elif name == "--bundle":
            if not is_joined and not rest:
                raise CallerError("--bundle needs a value", hint="governance scan --help")
            bundle = value if is_joined else rest.pop(0)
        elif word.startswith("-") and word != "-":
            raise CallerError(f"{word} is not an option", hint="governance scan --help")
        else:
            paths.append(word)
    if shape not in _FORMATS:
        raise CallerError(f"format {shape!r} is not one of {', '.join(_FORMATS)}", hint="governance scan --help")
    if not paths:
        raise CallerError("what should be looked at?", hint="governance scan PATH, or - for standard input")
    return paths, shape, bundle
