"""`governance rules eval`: any Rego query; prints what OPA's `opa eval` prints. `--batch` for many at once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.policy.eval import Failure, Question, evaluate, has_value

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.model.request import Json

BATCH_BUDGET_S = 10.0
# Takes the value of a query that is one expression; a name that no query would bind.
_VALUE = "value_of_the_query"


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Exit 0 with a result or undefined, 2 with an error; a batch exits 0 and says in each line how it went."""
    options = _parser().parse_args(argv)
    if options.batch is not None:
        return _batch(options.batch, stdin, stdout)
    if options.query is None:
        raise CallerError("a query is needed", hint="governance rules eval --help")
    modules, data = _loaded(options.data)
    query = f"{_VALUE} := {options.query}" if has_value(options.query, is_v0=options.v0) else options.query
    question = Question(query, modules, data, None, strict=options.strict, v0=options.v0)
    if options.input:
        text = stdin.read() if options.input == "-" else _text(options.input)
        question = question._replace(input=json.loads(text), has_input=True)
    result = evaluate(question)
    stdout.write(json.dumps(_opa_document(options.query, result), indent=2, ensure_ascii=False) + "\n")
    return 2 if isinstance(result, Failure) else 0


def _opa_document(query: str, result: list[dict[str, Json]] | Failure) -> Json:
    if isinstance(result, Failure):
        return {"errors": [{"code": result.code, "message": result.message}]}
    if not result:
        return {}
    rows = []
    for bindings in result:
        value = bindings.pop(_VALUE, True)
        row: dict[str, Json] = {"expressions": [{"value": value, "text": query, "location": {"row": 1, "col": 1}}]}
        if bindings:
            row["bindings"] = bindings
        rows.append(row)
    return {"result": rows}


def _batch(source: str, stdin: TextIO, stdout: TextIO) -> int:
    """JSON lines in, JSON lines out, same order; a line that is no question gets an error of its own."""
    lines = stdin if source == "-" else open(source, encoding="utf-8")  # noqa: SIM115  closed below
    try:
        for line in lines:
            if line.strip():
                stdout.write(json.dumps(_answer(line), ensure_ascii=False) + "\n")
                stdout.flush()
    finally:
        if lines is not stdin:
            lines.close()
    return 0


def _answer(line: str) -> Json:
    try:
        row = json.loads(line)
        question = Question(
            row["query"], row.get("modules") or {}, row.get("data"), row.get("input"), "input" in row,
            bool(row.get("strict")), bool(row.get("v0")),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {"id": None, "error": {"code": "invalid_request", "message": f"not a question: {error}"}}
    result = _bounded(question)
    if isinstance(result, Failure):
        return {"id": row.get("id"), "error": result._asdict()}
    return {"id": row.get("id"), "result": result}


def _bounded(question: Question) -> list[dict[str, Json]] | Failure:
    """Evaluate in a child with a deadline: the engine cannot be interrupted, a process can be killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(question, writer)
    os.close(writer)
    try:
        raw = _read_until(reader, BATCH_BUDGET_S)
    finally:
        os.close(reader)
        os.kill(child, 9)
        os.waitpid(child, 0)
    if raw is None:
        return Failure("eval_cancel_error", f"no answer within {BATCH_BUDGET_S:g} s")
    if not raw:
        return Failure("internal_error", "the evaluation ended without an answer")
    kind, value = json.loads(raw)
    return Failure(*value) if kind == "error" else value


def _child(question: Question, writer: int) -> None:
    try:
        result = evaluate(question)
        raw = json.dumps(["error", list(result)] if isinstance(result, Failure) else ["result", result]).encode()
        while raw:
            raw = raw[os.write(writer, raw) :]
    finally:
        os._exit(0)


def _read_until(reader: int, seconds: float) -> bytes | None:
    import select
    import time

    deadline = time.monotonic() + seconds
    pieces: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        piece = os.read(reader, 1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _loaded(paths: Sequence[str]) -> tuple[dict[str, str], Json]:
    from governance.policy.bundle import load_bundle

    modules: dict[str, str] = {}
    data: Json = {}
    for path in paths:
        if path.endswith((".json", ".yaml", ".yml")):
            import yaml

            text = _text(path)
            document = json.loads(text) if path.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader)
            data = {**data, **document}
            continue
        bundle = load_bundle(path)
        modules |= {f"{path}/{module.path}": module.text for module in bundle.modules}
        data = {**data, **bundle.data}
    return modules, data


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=path) from error


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance rules eval", description="Any Rego query, run as the service would.")
    parser.add_argument("query", nargs="?")
    parser.add_argument(
        "-d", "--data", action="append", default=[], metavar="PATH", help="Rego or data, file or bundle"
    )
    parser.add_argument("-i", "--input", default="", metavar="FILE", help="JSON input; '-' reads standard input")
    parser.add_argument("--strict", action="store_true", help="a builtin's error is an error, not undefined")
    parser.add_argument("--v0", action="store_true", help="modules are Rego v0")
    parser.add_argument("--batch", metavar="FILE", help="JSON lines {id, query, modules, data, input, strict, v0}")
    return parser
