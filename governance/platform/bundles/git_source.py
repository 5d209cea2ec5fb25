"""Fetching from a Git repository: the tree of one commit as an archive, and the commit's name as the revision.

Git is run without hooks, without asking anybody, without the protocols that run programs, and without this machine's or the
repository's configuration. It keeps what it has fetched, so that asking again costs one question.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from governance.platform.bundles.http_source import Fetched
from governance.platform.bundles.sources import FetchFailed, git_place

if TYPE_CHECKING:
    from pathlib import Path

    from governance.platform.bundles.sources import GitPlace, Terms

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:https:http:ssh",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    # Repositories of other accounts are only read from, and git's own check has no other switch without configuration.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def fetch_git(location: str, etag: str, terms: Terms, folder: Path) -> Fetched:
    """The tree at the ref; `etag` and the answer's are `commit`. `folder`: where the repository is kept. Raises FetchFailed."""
    place = git_place(location)
    repository = folder / "repository"
    if not (repository / "HEAD").exists():
        repository.mkdir(parents=True, exist_ok=True)
        _git(["init", "--bare", "--quiet", str(repository)], terms, location)
    base = ["--git-dir", str(repository)]
    wanted = _fetched(base, place, terms, location)
    commit = _git([*base, "rev-parse", "--verify", f"{wanted}^{{commit}}"], terms, location).decode().strip()
    if not _COMMIT.fullmatch(commit):
        raise FetchFailed("the ref names no commit", where=location)
    if commit == etag:
        return Fetched(None, commit, f"git:{commit}")
    tree = f"{commit}:{place.folder}" if place.folder else commit
    content = _git([*base, "archive", "--format=tar.gz", tree], terms, location)
    if len(content) > terms.most_bytes:
        raise FetchFailed(f"more than {terms.most_bytes} bytes", where=location)
    return Fetched(content, commit, f"git:{commit}")


def _fetched(base: list[str], place: GitPlace, terms: Terms, location: str) -> str:
    """Fetch, and say under which name the ref can be looked up here. Not every server gives out a commit by its name."""
    fetch = [*base, "fetch", "--quiet", "--no-tags", "--no-write-commit-graph"]
    if _COMMIT.fullmatch(place.ref):
        _git([*fetch, place.url, "+refs/heads/*:refs/fetched/*"], terms, location)
        return place.ref
    _git([*fetch, "--depth", "1", place.url, place.ref], terms, location)
    return "FETCH_HEAD"


def _git(argv: list[str], terms: Terms, location: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  no shell; URL, ref and folder were checked
            ["git", "-c", f"core.hooksPath={os.devnull}", *argv],  # noqa: S607  the account's own
            env={**environment, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=terms.timeout_s,
        )
    except FileNotFoundError as error:
        raise FetchFailed("there is no git on this machine", where=location) from error
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"git took more than {terms.timeout_s} s", where=location) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FetchFailed(f"git: {said[-1][:200] if said else done.returncode}", where=location)
    return done.stdout
