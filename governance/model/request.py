"""What somebody wants to do, normalised: the only thing that enters the line.

A `Request` is frozen and carries its own canonical text and digest, so that a record can name exactly what was
decided on. It holds plain JSON values; nothing in it is a verdict or a fact.

`NamedTuple` instead of pydantic or dataclasses: `check` has to start in a few milliseconds and importing either of
those costs more than deciding (dataclasses 12 ms, pydantic 110 ms).
"""

from __future__ import annotations

from typing import Any, NamedTuple

_ACTS = ("connector_call", "data_flow", "app_call", "app_answer", "publish", "lifecycle", "consent", "revocation")
# What a repository holds besides manifests, and what wants into a cluster.
_FILE_KINDS = ("workload", "infrastructure", "image_build", "pipeline", "registry_entry")
KINDS: frozenset[str] = frozenset(("template", "deploy", *_ACTS, *_FILE_KINDS))

# A JSON value as json.loads gives it. `Any` because JSON is recursive and every reader narrows at once.
Json = Any


class Source(NamedTuple):
    """Which door a request came through, and who stood there."""

    entry_point: str
    """`cli.check`, `cli.decide`, `http.decisions`, `http.data`, `webhook.validate`, …"""
    actor: str
    """Authenticated identity (API key id, OIDC subject, OS user for the CLI); never taken from the request body."""
    roles: tuple[str, ...] = ()
    document: str = ""
    """File name or URI the resource was read from; empty when it came over the wire."""
    trace_id: str = ""


class Request(NamedTuple):
    """One normalised request."""

    kind: str
    action: str
    tenant: str
    subject: Json
    """`{"id": str, "groups": [str], …}`: on whose behalf; what the caller claims, checked by rules against facts."""
    app: Json
    """The MicroApp spec plus `name`, or `{}` when the request is about no app."""
    resource: Json
    """The raw thing: manifest, admission object, connector call, flow."""
    context: Json
    dry_run: bool
    source: Source
    digest: str
    """`sha256:<hex>` over `text`."""
    text: str = ""
    """Canonical JSON of `{action, context, dry_run, kind, resource, subject, tenant}`: what was decided on."""
