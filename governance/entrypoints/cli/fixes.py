"""Writing a fix into a file: only what the patch names changes; comments, order and quoting stay."""

from __future__ import annotations

import io
import json
import os
from itertools import pairwise
from typing import TYPE_CHECKING

from governance.errors import CallerError
from governance.model.patch import BadPatch, patched
from governance.model.pointer import to_segments
from governance.normalise.documents import Document, read_documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.decision import Decision
    from governance.model.request import Json


def fix_file(
    document: Document, decision: Decision, decide: Callable[[Document], Decision]
) -> tuple[Document, Decision] | None:
    """Apply the first proved fix that lands, and decide again; None when none of them does.

    One fix at a time: pointers shift when an item goes. The file is replaced by rename, and only when the written text
    reads back as the patched document and its decision has fewer violations.
    """
    for violation in decision.violations:
        if not violation.fix:
            continue
        try:
            text = _edited(document, violation.fix)
            again = _reread(document, text)
            if again is None or again.value != patched(document.value, violation.fix):
                continue
        except (BadPatch, CallerError):
            continue
        after = decide(again)
        if after.error is None and len(after.violations) < len(decision.violations):
            _replace(document.file, text)
            return again, after
    return None


def _reread(document: Document, text: str) -> Document | None:
    documents = read_documents(text.encode(), document.file)
    return next((d for d in documents if d.index == document.index), None)


def _edited(document: Document, patch: Json) -> str:
    if document.form == "json":
        indent = 2 if "\n" in document.text.strip() else None
        return json.dumps(patched(document.value, patch), indent=indent, ensure_ascii=False) + "\n"
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    _keep_indentation(yaml, document.text)
    try:
        documents = list(yaml.load_all(document.text))
        _apply(documents[document.index], patch)
        out = io.StringIO()
        yaml.dump_all(documents, out)
    except (YAMLError, IndexError, KeyError, TypeError) as error:
        raise BadPatch(f"cannot be edited in place: {type(error).__name__}") from error
    text = out.getvalue()
    return text.removesuffix("...\n") if len(documents) == 1 else text


def _keep_indentation(yaml: object, text: str) -> None:
    """Lists under a key are indented or not, as the file already has it."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for above, below in pairwise(lines):
        if above.rstrip().endswith(":") and below.lstrip().startswith("- "):
            step = (len(below) - len(below.lstrip())) - (len(above) - len(above.lstrip()))
            if step > 0:
                yaml.indent(mapping=2, sequence=step + 2, offset=step)  # type: ignore[attr-defined]
            return


def _apply(node: Json, patch: Json) -> None:
    """The patch on ruamel's own nodes, which carry the comments."""
    for step in patch:
        *way, last = to_segments(step["path"])
        parent = node
        for segment in way:
            parent = parent[int(segment)] if isinstance(parent, list) else parent[segment]
        is_list = isinstance(parent, list)
        key: Json = (len(parent) if last == "-" else int(last)) if is_list else last
        if step["op"] == "remove":
            del parent[key]
        elif step["op"] == "add" and is_list:
            parent.insert(key, step["value"])
        else:
            parent[key] = step["value"]


def _replace(file: str, text: str) -> None:
    temporary = f"{file}.{os.getpid()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, os.stat(file).st_mode & 0o777)
        os.replace(temporary, file)
    except OSError as error:
        raise CallerError(f"cannot be written: {error.strerror}", where=file) from error
