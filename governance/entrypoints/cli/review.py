"""`governance review`: have a design reviewed by a model, and measure what a model is worth against injected orders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.settings import Settings, from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json, Request


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 0 when the line would allow the design, 1 when not; for `eval` 1 when an order made a decision milder."""
    import argparse

    parser = argparse.ArgumentParser(
        "governance review",
        description="Design review. The deterministic checklist runs with every decision; a model, where "
        "GOVERNANCE_REVIEW_MODEL names one, reviews a design when `review run` asks it or, beside a running service, when "
        "a decision found no review of it; later decisions read what it said. Its findings only add to the others; a model "
        "that fails or was not asked sends the design to a person.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser(
        "run",
        help="review one design, recorded",
        description="Review one design and say what the line would decide with it.",
    )
    one.add_argument("file", metavar="FILE", help="a MicroApp or AppTemplate, YAML or JSON; '-' reads standard input")
    one.add_argument("--kind", choices=["deploy", "template", "publish"], help="FILE is the resource of such a request")
    one.add_argument("--tenant", default="", help="tenant of a resource given with --kind publish")
    one.add_argument("--format", choices=["text", "json"], default="text")
    many = verbs.add_parser(
        "eval",
        help="detection, flips and cost over a corpus of injected orders",
        description="Put each text of a corpus into a good design, have it reviewed, and count: found, falsely found, and "
        "flips (a decision milder with the review than without: there must be none).",
    )
    many.add_argument(
        "--corpus", default="", metavar="FILE", help="YAML list of cases; default: the one that comes along"
    )
    many.add_argument(
        "--base", default="", metavar="FILE", help="MicroApp to put the texts into; default: an allowed one"
    )
    many.add_argument("--model", default="", help="instead of GOVERNANCE_REVIEW_MODEL")
    many.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N cases of each sort")
    many.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "eval":
        from governance.entrypoints.cli.review_eval import evaluate

        return evaluate(options, settings, stdout, stderr)
    return _review(options, settings, stdin, stdout, stderr)


def _review(options: argparse.Namespace, settings: Settings, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    import json

    from governance.broker_wiring import open_reviews
    from governance.wiring import for_check

    request = _request(options, settings, stdin)
    outcome: Json = None
    if settings.text("review_model"):
        with open_reviews(settings, lambda words: _progress(stderr, words)) as reviews:
            outcome = reviews.run(request)._asdict()
    assessed = for_check(settings).assess(request)
    review = assessed.facts.values.get("review", {})
    if options.format == "json":
        said = {"review": review, "model_run": outcome, "decision": _decision(assessed.decision)}
        stdout.write(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    else:
        _write_text(stdout, review, outcome, assessed.decision)
    return 0 if assessed.decision.is_allowed else 1


def _progress(stderr: TextIO, words: str) -> None:
    stderr.write(f"review: {words}\n")
    stderr.flush()


def _request(options: argparse.Namespace, settings: Settings, stdin: TextIO) -> Request:

    from governance.model.request import Source
    from governance.normalise.documents import read_documents
    from governance.normalise.requests import normalise_manifest, normalise_resource

    limit = settings.number("max_body_bytes")
    try:
        if options.file == "-":
            raw = stdin.buffer.read(limit + 1)
        else:
            with open(options.file, "rb") as file:
                raw = file.read(limit + 1)
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=options.file) from error
    if len(raw) > limit:
        raise CallerError(f"is larger than {limit} bytes", where=options.file)
    source = Source(entry_point="cli.review", actor=f"os:{os.getuid()}", document=options.file)
    if options.kind:
        return normalise_resource(options.kind, raw, source, tenant=options.tenant)
    documents = read_documents(raw, options.file)
    if len(documents) != 1:
        raise CallerError("exactly one document is needed", where=options.file)
    return normalise_manifest(documents[0], source)


def _decision(decision: Decision) -> Json:
    return {
        "effect": decision.effect,
        "rules": sorted({v.rule for v in decision.violations}),
        "revision": decision.revision,
    }


def _write_text(stdout: TextIO, review: Json, outcome: Json, decision: Decision) -> None:
    for finding in review.get("findings", ()):
        place = finding["pointer"] or "/"
        stdout.write(
            f"{place}: {finding['severity']} {finding['category']} ({finding['source']}): {finding['title']}\n"
        )
        stdout.write(f"    seen: {finding['evidence']}\n    do: {finding['suggestion']}\n")
    if outcome is None:
        stdout.write("no model is configured (GOVERNANCE_REVIEW_MODEL): the checklist reviewed alone\n")
    elif outcome["status"] == "done":
        cost = outcome["spent"]
        stdout.write(f"{outcome['model']} reviewed it, record {outcome['review_id']}: {_cost(cost)}\n")
    else:
        stdout.write(
            f"no review by a model: {outcome['reason']}, record {outcome['review_id']}; a person has to look\n"
        )
    rules = ", ".join(sorted({v.rule for v in decision.violations}))
    stdout.write(f"with this review the line would say {decision.effect}{f' ({rules})' if rules else ''}\n")


def _cost(spent: Json) -> str:
    tokens, microcents = spent
    return f"{tokens} tokens, {microcents / 1_000_000:.4f} cents" if tokens else "kept from before, nothing spent"
