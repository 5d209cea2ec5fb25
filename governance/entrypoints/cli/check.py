"""`governance check`: decide on every file that is recognised, as pre-commit and CI do. No server, no database.

Arguments are parsed by hand: argparse alone would cost a third of what checking a file does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TextIO

from governance.entrypoints.cli.checked import Checked, tally
from governance.errors import CallerError
from governance.model.request import Source
from governance.normalise.subjects import Subject, has_to_be_read, request_of, rest_has_to_be_read, subjects_of
from governance.settings import Settings, from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.entrypoints.cli.findings import Results
    from governance.model.decision import Decision
    from governance.normalise.documents import Document
    from governance.pipeline import Pipeline
    from governance.platform.connector_approvals import Held

HELP = """usage: governance check [PATH …] [--format text|json|sarif|junit|github] [--baseline FILE] [--fix] …

Decide on every file that is recognised in the files and folders named (default: the current folder); '-' reads standard
input, such as what `helm template` or `kustomize build` prints. Nothing is recorded and nothing permitted: this is what the
service would say, by the same rules and ids.

Recognised: MicroApp, AppTemplate, Connector, Tenant, Waiver and PolicyMode; Kubernetes objects of built-in groups, also in
a List; Score (score.dev/v1b1); Terraform plans (`terraform show -json`); Dockerfile and Containerfile; GitHub Actions
workflows and actions. A file that has such words or such a name and cannot be read fails the check; others are skipped.

  --format             text (default), json, sarif (2.1.0), junit, or github (annotations of a workflow run)
  --baseline FILE      only findings that the file does not have fail; the others are shown and counted as known
  --write-baseline FILE  write what fails now into the file, and end with 0
  --fix                write the fixes that were applied, decided again and found to pass
  --tenant T, --app A  whose Dockerfiles, workflows and plans these are: their regions and waivers count
  --if-any             end with 0 where none of the files named is recognised, as a pre-commit hook has to
  --filename NAME      what standard input is called, where its name says what it is (Dockerfile)
  --bundle PATH        serve somebody's own Rego and data beside the rule pack (folder, .rego or .tar.gz); may be repeated
  --approvals FILE     which connectors are approved, as the service's `governance connector export-approvals` wrote it;
                       without it this home's approvals count, which in CI are none
  --approvals-key KEY  whose note that has to be: what `governance audit key` of the service prints

Waivers: GOVERNANCE_WAIVERS names their folder; what is waived is counted. Exit codes: 0 clean (warnings allowed),
1 violations or files that could not be read, 2 wrong use or nothing to check.
"""
_FORMATS = ("text", "json", "sarif", "junit", "github")
_VALUES = ("bundle", "format", "baseline", "write-baseline", "tenant", "app", "filename", "approvals", "approvals-key")


class _Options(NamedTuple):
    paths: list[str]
    bundles: list[str]
    values: dict[str, str]
    fix: bool
    if_any: bool


class _Read(NamedTuple):
    """What the files hold."""

    subjects: list[Subject]
    problems: list[tuple[CallerError, str]]
    """What could not be read, and of which file."""
    skipped: int


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 0 when everything is allowed or warned about, 1 otherwise, 2 when there was nothing to decide on."""
    if "-h" in argv or "--help" in argv:
        stdout.write(HELP)
        return 0
    options = _options(argv)
    settings = from_environment(os.environ)
    if options.bundles:
        settings = Settings({**settings.values, "extra_bundles": ",".join(options.bundles)})
    from governance.wiring import for_check

    line = for_check(settings, _approvals(options))
    read = _read(options, stdin, stderr, settings)
    checked = _decided(line, read, options)
    if not checked and not read.problems:
        if options.if_any:
            stderr.write(f"nothing to check in {read.skipped} files\n")
            return 0
        raise CallerError("0 documents recognised, so 0 rules evaluated", hint="governance check --help says which are")
    if options.fix:
        checked = _fixed(line, checked, options, stderr)
    stderr.writelines(f"{error}\n" for error, _ in read.problems)
    return _told(checked, read, options, line, (stdout, stderr))


def _approvals(options: _Options) -> Held | None:
    named = [options.values.get(name, "") for name in ("approvals", "approvals-key")]
    if not any(named):
        return None
    file, key = named
    if not all(named):
        raise CallerError("--approvals and --approvals-key go together", hint="governance check --help")
    from governance.documents.files import read_whole
    from governance.normalise.documents import decoded
    from governance.platform.approval_notes import read_note

    return read_note(decoded(read_whole(file), file), key, file)


def _told(
    checked: list[Checked], read: _Read, options: _Options, line: Pipeline, streams: tuple[TextIO, TextIO]
) -> int:
    stdout, stderr = streams
    asked = {"format", "baseline", "write-baseline"} & set(options.values)
    if not (asked or read.problems or any(c.decision.violations or c.decision.error for c in checked)):
        stdout.write(tally(checked, read.skipped))
        return 0
    from governance.entrypoints.cli.findings import Results, findings_of, problem_of, undecided

    problems = [problem_of(error, file) for error, file in read.problems]
    findings = findings_of(checked, _known(options))
    results = Results(checked, findings, [*problems, *undecided(checked)], read.skipped)
    if "write-baseline" in options.values:
        return _baseline(results, options.values["write-baseline"], stderr)
    stdout.write(_formatted(results, line, options))
    return 1 if results.is_refused else 0


def _known(options: _Options) -> frozenset[str]:
    if "baseline" not in options.values:
        return frozenset()
    from governance.entrypoints.cli.baseline import read_baseline

    return read_baseline(options.values["baseline"])


def _baseline(results: Results, path: str, stderr: TextIO) -> int:
    """A baseline holds findings; what could not be read or decided is nothing to get used to."""
    from governance.entrypoints.cli.baseline import write_baseline

    count = write_baseline(path, results.findings)
    stderr.write(f"{path}: {count} findings\n")
    return 1 if results.problems else 0


def _read(options: _Options, stdin: TextIO, stderr: TextIO, settings: Settings) -> _Read:
    from governance.entrypoints.cli.files import beyond, contents, is_chart_template

    limit, depth = settings.number("max_body_bytes"), settings.number("max_depth")
    subjects: list[Subject] = []
    problems: list[tuple[CallerError, str]] = []
    skipped = 0
    for file, raw in contents(options.paths, stdin, limit + 1, options.values.get("filename", "<stdin>")):
        if is_chart_template(file, raw):
            stderr.write(f"{file}: skipped, a chart's template; helm template … | governance check -\n")
            skipped += 1
            continue
        try:
            found, wrong = subjects_of(raw, file, max_bytes=limit, max_depth=depth)
        except CallerError as error:
            is_named = file in {"<stdin>", options.values.get("filename")}
            if is_named or has_to_be_read(raw, file) or (len(raw) > limit and rest_has_to_be_read(beyond(file, limit))):
                problems.append((error, file))
            else:
                skipped += 1
            continue
        subjects += found
        problems += [(error, file) for error in wrong]
        skipped += not found and not wrong
    return _Read(subjects, problems, skipped)


def _decided(line: Pipeline, read: _Read, options: _Options) -> list[Checked]:
    """Every subject with its decision; one that cannot become a request joins the problems."""
    checked = []
    for subject in read.subjects:
        try:
            checked.append(Checked(subject, _decide(line, subject, options)))
        except CallerError as error:
            read.problems.append((error, subject.document.file))
    return checked


def _decide(line: Pipeline, subject: Subject, options: _Options) -> Decision:
    source = Source("cli.check", f"os:{os.getuid()}", (), subject.document.file)
    tenant, app = options.values.get("tenant", ""), options.values.get("app", "")
    return line.assess(request_of(subject, source, tenant=tenant, app=app)).decision


def _fixed(line: Pipeline, found: list[Checked], options: _Options, stderr: TextIO) -> list[Checked]:
    # Documents of one file share its text: a later one is edited, and located, in what the earlier ones left.
    texts: dict[str, str] = {}
    result = []
    for checked in found:
        document = checked.subject.document
        document = document._replace(text=texts.get(document.file, document.text))
        mended = Checked(checked.subject._replace(document=document), checked.decision)
        while mended.subject.is_fixable and any(v.fix for v in mended.decision.violations):
            again = _mended(line, mended, options)
            if again is None:
                break
            mended = again
            stderr.write(f"{document.file}: fixed\n")
        texts[document.file] = mended.subject.document.text
        result.append(mended)
    return [_with_text(checked, texts[checked.subject.document.file]) for checked in result]


def _mended(line: Pipeline, checked: Checked, options: _Options) -> Checked | None:
    from governance.entrypoints.cli.fixes import fix_file

    def subject_of(document: Document) -> Subject:
        return Subject(document, "", checked.subject.kind, document.value)

    changed = fix_file(
        checked.subject.document, checked.decision, lambda document: _decide(line, subject_of(document), options)
    )
    return None if changed is None else Checked(subject_of(changed[0]), changed[1])


def _with_text(checked: Checked, text_now: str) -> Checked:
    subject = checked.subject
    return checked._replace(subject=subject._replace(document=subject.document._replace(text=text_now)))


def _formatted(results: Results, line: Pipeline, options: _Options) -> str:
    from governance.entrypoints.cli import findings

    shape = options.values.get("format", "text")
    if shape in {"text", "json"}:
        return findings.text(results) if shape == "text" else findings.as_json(results)
    if shape == "sarif":
        from governance.entrypoints.cli.sarif import sarif

        return sarif(results, line.rules, has_baseline="baseline" in options.values)
    from governance.entrypoints.cli import ci_formats

    return ci_formats.junit(results) if shape == "junit" else ci_formats.github(results)


def _options(argv: Sequence[str]) -> _Options:
    options = _Options([], [], {}, "--fix" in argv, "--if-any" in argv)
    rest = [word for word in argv if word not in {"--fix", "--if-any"}]
    while rest:
        word = rest.pop(0)
        name, is_joined, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in _VALUES:
            if not is_joined:
                if not rest:
                    raise CallerError(f"{word} needs a value", hint="governance check --help")
                value = rest.pop(0)
            if name == "bundle":
                options.bundles.append(value)
            else:
                options.values[name] = value
        elif word.startswith("-") and word != "-":
            raise CallerError(f"{word} is not an option", hint="governance check --help")
        else:
            options.paths.append(word)
    shape = options.values.get("format", "text")
    if options.fix and "-" in options.paths:
        raise CallerError("--fix needs files", hint="standard input cannot be written back")
    if shape not in _FORMATS:
        raise CallerError(f"format {shape!r} is not one of {', '.join(_FORMATS)}", hint="governance check --help")
    return options
