"""Where a bundle comes from: a folder or archive here, a bundle server, or a Git repository at a ref.

rules/                                       a folder, a .rego file or a .tar.gz
https://bundles.example/main.tar.gz          a bundle server
git+https://git.example/policy@main#rules    a repository at a branch, tag or commit; behind `#` a folder in it
git+file:///srv/policy.git@v1.4.0            the same on this machine
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from governance.errors import CallerError, DependencyError

if TYPE_CHECKING:
    from governance.settings import Settings

MAIN = "main"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A ref is handed to git: nothing that begins like an option, and none of the characters a ref may not have.
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}", re.ASCII)
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ -]{0,199}", re.ASCII)


class FetchFailed(DependencyError):
    """A source could not be fetched; what was fetched before keeps serving."""

    code = "bundle_unavailable"

    def __init__(self, message: str, *, where: str = "", hint: str = "", http_code: int = 0) -> None:
        """`http_code`: what the server answered, 0 where it did not."""
        super().__init__(message, where=where, hint=hint)
        self.http_code = http_code


class Source(NamedTuple):
    """One bundle that the settings name."""

    name: str
    location: str
    v0: bool = False

    @property
    def kind(self) -> str:
        """`http`, `git` or `local`."""
        return kind_of(self.location)

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched."""
        return self.kind != "local"

    @property
    def slug(self) -> str:
        """Name of its folder in the home."""
        return hashlib.sha256(self.location.encode()).hexdigest()[:16]


class GitPlace(NamedTuple):
    """A repository, a ref in it, and the folder that is the bundle."""

    url: str
    ref: str
    folder: str


class Terms(NamedTuple):
    """How sources are fetched; times in seconds."""

    timeout_s: int
    wait_s: int
    """How long a server may hold a question open until there is news (long poll); 0 for not at all."""
    poll_s: int
    most_bytes: int
    token_file: str
    max_age_s: int
    """After so long without a successful fetch nothing is allowed; 0 for no limit."""


def kind_of(location: str) -> str:
    """`http`, `git` or `local`."""
    if location.startswith(("https://", "http://")):
        return "http"
    return "git" if location.startswith("git+") else "local"


def sources_of(settings: Settings) -> tuple[Source, ...]:
    """The main bundle and those beside it; raises CallerError for a location that must not be fetched."""
    found = [Source(MAIN, settings.text("bundle"))]
    for part in filter(None, (part.strip() for part in settings.text("extra_bundles").split(","))):
        location = part.removeprefix("v0:").strip()
        found.append(Source(f"extra-{len(found)}", location, v0=location != part))
    for source in found:
        _check(source, is_verified=bool(settings.text("bundle_key")))
    return tuple(found)


def terms_of(settings: Settings) -> Terms:
    """The settings that say how to fetch."""
    return Terms(
        timeout_s=settings.number("bundle_timeout_s"),
        wait_s=settings.optional_number("bundle_long_poll_s"),
        poll_s=settings.number("bundle_poll_s"),
        most_bytes=settings.number("bundle_max_bytes"),
        token_file=settings.text("bundle_token_file"),
        max_age_s=settings.optional_number("bundle_max_age_s"),
    )


def config_digest(sources: tuple[Source, ...], key: bytes) -> str:
    """What a release was made for: another list of sources, or another key, is another question."""
    rows = [[source.location if source.is_remote else os.path.abspath(source.location or "."), source.v0, bool(source.location)]
            for source in sources]  # fmt: skip
    return hashlib.sha256(json.dumps([rows, key.hex()]).encode()).hexdigest()


def git_place(location: str) -> GitPlace:
    """A `git+…@ref#folder` location in its parts; raises CallerError."""
    rest, _, folder = location.removeprefix("git+").partition("#")
    url, at, ref = rest.rpartition("@")
    if not at or "/" not in url or not _REF.fullmatch(ref) or ".." in ref:
        raise CallerError("names no ref", where=location, hint="git+https://host/repository@branch, a tag or a commit")
    if folder and (not _FOLDER.fullmatch(folder) or ".." in folder.split("/")):
        raise CallerError(f"{folder[:40]!r} is not a folder of a repository", where=location)
    return GitPlace(url if "://" in url else f"file://{os.path.abspath(url)}", ref, folder.strip("/"))


def _check(source: Source, *, is_verified: bool) -> None:
    if not source.is_remote:
        return
    url = git_place(source.location).url if source.kind == "git" else source.location
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise CallerError(f"not an address: {error}", where="a bundle's location") from error
    del port
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise CallerError(
            "holds a credential", where=f"{parts.scheme}://{host}", hint="GOVERNANCE_BUNDLE_TOKEN_FILE names a file"
        )
    if parts.scheme not in {"https", "http", *({"file", "ssh"} if source.kind == "git" else ())}:
        raise CallerError(f"{parts.scheme!r} is not fetched", where=source.location)
    if parts.scheme == "http" and host not in LOOPBACK and (source.kind == "git" or not is_verified):
        raise CallerError(
            "anybody on the way could change the policy",
            where=source.location,
            hint="use https, or set GOVERNANCE_BUNDLE_KEY so that its signature is verified",
        )
