"""`governance check`: decide on every manifest that is recognised, as pre-commit and CI do. No server, no database.

Arguments are parsed by hand: argparse alone would cost a third of what checking a file does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TextIO

from governance.errors import CallerError
from governance.model.decision import ALLOW
from governance.model.request import Source
from governance.normalise.documents import Document, read_documents
from governance.normalise.requests import is_malformed_manifest, manifest_kind, normalise_manifest
from governance.settings import Settings, from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.model.decision import Decision, Violation
    from governance.pipeline import Pipeline

HELP = """usage: governance check [PATH …] [--bundle PATH …] [--format text|json] [--fix]

Decide on every MicroApp and AppTemplate in the files and folders named (default: the current folder); '-' reads
standard input. Nothing is recorded and nothing permitted: this is what the service would say.

  --bundle PATH   serve somebody's own Rego and data beside the rule pack (folder, .rego or .tar.gz); may be repeated
  --format        text (default) or json
  --fix           write the fixes that were applied, decided again and found to pass

Exit codes: 0 clean (warnings allowed), 1 violations, 2 wrong use or nothing to check.
"""
_ENDINGS = (".yaml", ".yml", ".json")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})


class _Options(NamedTuple):
    paths: list[str]
    bundles: list[str]
    format: str
    fix: bool


class _Others(NamedTuple):
    """Files that nothing was decided on."""

    skipped: int
    """No manifest of ours."""
    unreadable: int
    """One of ours by its words, and malformed: as bad as a violation."""


class Checked(NamedTuple):
    """One document with what was decided on it."""

    document: Document
    decision: Decision


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 0 when every document is allowed or warned about, 1 otherwise, 2 when there was nothing to decide on."""
    if "-h" in argv or "--help" in argv:
        stdout.write(HELP)
        return 0
    options = _options(argv)
    settings = from_environment(os.environ)
    if options.bundles:
        settings = Settings({**settings.values, "extra_bundles": ",".join(options.bundles)})
    from governance.wiring import for_check

    line = for_check(settings)
    limit, depth = settings.number("max_body_bytes"), settings.number("max_depth")
    found, skipped, broken = [], 0, 0
    for file, raw in _files(options.paths, stdin, settings):
        try:
            documents = read_documents(raw, file, max_bytes=limit, max_depth=depth)
        except CallerError as error:
            if not (raw.find(b"microapps.internal/") >= 0 or file == "<stdin>"):
                skipped += 1
                continue
            stderr.write(f"{error}\n")
            broken += 1
            continue
        for document in filter(is_malformed_manifest, documents):
            stderr.write(
                f"{file}: document {document.index + 1}: kind {document.value.get('kind')!r} is none of ours\n"
            )
            broken += 1
        ours = [document for document in documents if manifest_kind(document)]
        skipped += not ours
        found += [Checked(document, _decide(line, document)) for document in ours]
    if not found and not broken:
        raise CallerError("0 documents recognised, so 0 rules evaluated", hint="name a MicroApp or AppTemplate file")
    if options.fix:
        found = _fixed(line, found, stderr)
    _write(found, options, _Others(skipped, broken), stdout)
    refused = any(not checked.decision.is_allowed for checked in found)
    return 1 if refused or broken else 0


def _decide(line: Pipeline, document: Document) -> Decision:
    source = Source("cli.check", f"os:{os.getuid()}", (), document.file)
    return line.assess(normalise_manifest(document, source)).decision


def _fixed(line: Pipeline, found: list[Checked], stderr: TextIO) -> list[Checked]:
    from governance.entrypoints.cli.fixes import fix_file

    result = []
    # Documents of one file share its text: a later one is edited, and located, in what the earlier ones left.
    texts: dict[str, str] = {}
    for checked in found:
        document, decision = checked
        document = document._replace(text=texts.get(document.file, document.text))
        while any(v.fix for v in decision.violations):
            changed = fix_file(document, decision, lambda d: _decide(line, d))
            if changed is None:
                break
            document, decision = changed
            stderr.write(f"{document.file}: fixed\n")
        texts[document.file] = document.text
        result.append(Checked(document, decision))
    return [c._replace(document=c.document._replace(text=texts[c.document.file])) for c in result]


def _write(found: list[Checked], options: _Options, others: _Others, stdout: TextIO) -> None:
    if options.format == "json":
        import json

        from governance.model.answer import decision_json

        rows = [{"file": c.document.file, "document": c.document.index, **decision_json(_located(c))} for c in found]
        stdout.write(json.dumps({"checked": len(found), **others._asdict(), "results": rows}, indent=2) + "\n")
        return
    for checked in found:
        stdout.writelines(_text(checked, violation) for violation in _located(checked).violations)
    stdout.write(_tally(found, others))


def _located(checked: Checked) -> Decision:
    """The decision with file, line and column at each violation; positions are looked up only where there are any."""
    if not checked.decision.violations:
        return checked.decision
    from governance.normalise.positions import position_of

    document = checked.document
    return checked.decision._replace(
        violations=tuple(
            v._replace(location=(document.file, *position_of(document, v.path))) for v in checked.decision.violations
        )
    )


def _text(checked: Checked, violation: Violation) -> str:
    file, line, column = violation.location or (checked.document.file, 1, 1)
    label = violation.effect if violation.effect != ALLOW else "waived" if violation.waived_by else violation.mode
    fix = "--fix can mend this" if violation.fix else violation.remediation
    return (
        f"{file}:{line}:{column}: {violation.rule} {label} ({violation.severity}): {violation.message}\n"
        f"    fix: {fix}\n"
    )


def _tally(found: list[Checked], others: _Others) -> str:
    counts = {"not readable": others.unreadable} if others.unreadable else {}
    for checked in found:
        for violation in checked.decision.violations:
            key = "waived" if violation.waived_by else "shadowed" if violation.mode == "shadow" else violation.effect
            counts[key] = counts.get(key, 0) + 1
        if checked.decision.error:
            counts["not decided"] = counts.get("not decided", 0) + 1
    words = ("deny", "require_approval", "warn", "waived", "shadowed", "not decided", "not readable")
    told = ", ".join(f"{counts[word]} {word.replace('_', ' ')}" for word in words if word in counts) or "no violations"
    errors = "".join(f"{c.document.file}: {c.decision.reason}\n" for c in found if c.decision.error)
    rules = len({rule for checked in found for rule in checked.decision.rules_evaluated})
    return f"{errors}{len(found)} checked against {rules} rules, {others.skipped} skipped: {told}\n"


def _files(paths: list[str], stdin: TextIO, settings: Settings) -> Iterator[tuple[str, bytes]]:
    limit = settings.number("max_body_bytes") + 1
    for path in paths or ["."]:
        if path == "-":
            yield "<stdin>", stdin.buffer.read(limit)
            continue
        for file in _walk(path):
            try:
                with open(file, "rb") as stream:
                    yield file, stream.read(limit)
            except OSError as error:
                raise CallerError(f"cannot be read: {error.strerror}", where=file) from error


def _walk(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = sorted(n for n in names if not n.startswith(".") and n not in _SKIPPED_FOLDERS)
        for file in sorted(files):
            if file.endswith(_ENDINGS):
                yield os.path.normpath(os.path.join(folder, file))


def _options(argv: Sequence[str]) -> _Options:
    paths: list[str] = []
    bundles: list[str] = []
    shape, fix = "text", False
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in {"--bundle", "--format"}:
            if not rest:
                raise CallerError(f"{word} needs a value", hint="governance check --help")
            value = rest.pop(0)
            if word == "--bundle":
                bundles.append(value)
            else:
                shape = value
        elif word == "--fix":
            fix = True
        elif word.startswith("-") and word != "-":
            raise CallerError(f"{word} is not an option", hint="governance check --help")
        else:
            paths.append(word)
    if shape not in {"text", "json"}:
        raise CallerError(f"format {shape!r} is not text or json", hint="governance check --help")
    return _Options(paths, bundles, shape, fix)
