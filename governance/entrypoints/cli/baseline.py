"""A baseline: the findings that were there when somebody drew a line, so that only new ones fail a check.

A file of fingerprints that goes into the repository and is reviewed there. It excuses nothing: what it names is still shown
and counted, as `known`, and a finding of another file or resource never matches.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from governance.entrypoints.cli.findings import shown_path
from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.entrypoints.cli.findings import Finding

_VERSION = 1


def read_baseline(path: str) -> frozenset[str]:
    """The fingerprints of a baseline file; raises CallerError for one that cannot be read, since an empty one is a choice."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document["version"] != _VERSION:
            raise CallerError(f"version {document['version']!r} is not {_VERSION}", where=path)
        return frozenset(str(row["fingerprint"]) for row in document["findings"])
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=path) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CallerError("is no baseline", where=path, hint="`governance check --write-baseline FILE`") from error


def write_baseline(path: str, findings: Sequence[Finding]) -> int:
    """Write what refuses now, and how many that is; sorted, so that a review shows what came and went."""
    rows = [
        {"rule": f.violation.rule, "file": shown_path(f.subject.document.file), "fingerprint": f.fingerprint}
        for f in findings
        if f.refuses or f.is_known
    ]
    rows.sort(key=lambda row: (row["file"], row["rule"], row["fingerprint"]))
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            json.dump({"version": _VERSION, "findings": rows}, file, indent=2)
            file.write("\n")
        os.replace(temporary, path)
    except OSError as error:
        raise CallerError(f"cannot be written: {error.strerror}", where=path) from error
    return len(rows)
