"""Files that commands are given: which are looked at below a folder, and their bytes up to a limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.normalise.subjects import is_build_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ENDINGS = (".yaml", ".yml", ".json")
_PIECE = 1 << 20
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})
# The hidden folder that is looked into: workflows live there.
_SHOWN_FOLDER = ".github"


def contents(
    paths: Sequence[str], stdin: TextIO, limit: int, stdin_name: str = "<stdin>"
) -> Iterator[tuple[str, bytes]]:
    """(name, at most `limit` bytes) of each file that `check` may recognise, and of each that is named.

    Raises CallerError for a path that cannot be read: what was named and not looked at is never clean.
    """
    for path in paths or ["."]:
        if path == "-":
            yield stdin_name, stdin.buffer.read(limit)
            continue
        for file in files_below(path, _may_be_recognised):
            try:
                with open(file, "rb") as stream:
                    yield file, stream.read(limit)
            except OSError as error:
                raise CallerError(f"cannot be read: {error.strerror}", where=file) from error


def beyond(file: str, limit: int) -> Iterator[bytes]:
    """What a file holds behind its first `limit` bytes, piece by piece; raises CallerError where it cannot be read."""
    try:
        with open(file, "rb") as stream:
            stream.seek(max(0, limit - _PIECE))
            while piece := stream.read(_PIECE):
                yield piece
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=file) from error


def is_chart_template(file: str, raw: bytes) -> bool:
    """Whether a file is a template of a Helm chart: text that becomes a manifest, and is none before."""
    if b"{{" not in raw:
        return False
    folder, name = os.path.split(os.path.abspath(file))
    while name:
        if name == "templates" and os.path.isfile(os.path.join(folder, "Chart.yaml")):
            return True
        folder, name = os.path.split(folder)
    return False


def files_below(path: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The path itself where it is no folder; else the files below it, in order, without other people's folders."""
    if not os.path.isdir(path):
        yield path
        return
    for folder, names, files in os.walk(path, onerror=_unreadable):
        names[:] = sorted(n for n in names if n == _SHOWN_FOLDER or not (n.startswith(".") or n in _SKIPPED_FOLDERS))
        for file in sorted(files):
            whole = os.path.normpath(os.path.join(folder, file))
            # A pipe or a socket would be waited for without end.
            if wanted(file) and (os.path.isfile(whole) or not os.path.exists(whole)):
                yield whole


def _may_be_recognised(file: str) -> bool:
    return file.lower().endswith(_ENDINGS) or is_build_name(file)


def _unreadable(error: OSError) -> None:
    raise CallerError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
