"""Reading the registry. Strict: a member that nobody knows is a typo, and a typo in a scope list is an incident."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any, NamedTuple

STATES = ("proposed", "approved", "deprecated", "retired")
ACCESS = ("read", "write", "admin")
# Schemes, and what else each needs to know.
AUTH: dict[str, tuple[str, ...]] = {
    "none": (), "bearer": (), "basic": (), "header": ("name",), "client_credentials": ("token_url",),
    "person": (), "token_exchange": ("token_url", "audience"),
}  # fmt: skip
FLOWS = ("authorization_code", "client_credentials", "device_code", "token_exchange")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Formats whose records stand alone, so that each may be decided on before the next has come.
STREAMS = ("ndjson", "sse", "csv")
_SEGMENT = re.compile(r"[A-Za-z0-9._~:@$()=,'+-]+|\{[A-Za-z][A-Za-z0-9_]*\}")
# What a flow in which a person consents needs to know.
_FLOW_NEEDS = {"authorization_code": "authorization_url", "device_code": "device_authorization_url"}
_OAUTH_URLS = ("authorization_url", "token_url", "revocation_url", "device_authorization_url")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SUCH_AS = {"review_by": "2027-06-30", "retires_at": "2027-06-30T00:00:00Z"}
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# How TLS begins: by a command on port 587 (RFC 3207), or with the first byte on port 465 (RFC 8314, section 3.3).
_MAIL_TLS = ("starttls", "implicit")
_ADDRESS = re.compile(r"[a-z0-9._+-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
_URL = re.compile(r"https://(?P<host>[a-z0-9.-]+)/[A-Za-z0-9._~/-]*")

_LIST, _TEXT, _MAP = list, str, dict
_CONNECTOR: dict[str, type] = {
    "name": _TEXT, "title": _TEXT, "state": _TEXT, "owner": _TEXT, "review_by": _TEXT, "hosts": _LIST, "regions": _LIST,
    "scopes": _MAP, "data_classes": _LIST, "operations": _LIST, "fields": _LIST, "limits": _MAP, "tenants": _LIST,
}  # fmt: skip
_CONNECTOR_OPTIONAL: dict[str, type] = {
    "retires_at": _TEXT, "replaced_by": _TEXT, "auth": _MAP, "per_minute": _MAP, "oauth": _MAP, "documentation": _TEXT,
    "region_hosts": _MAP, "usage_limits": _LIST, "smtp": _MAP, "recipients": _LIST,
    "mutual_tls": bool,
}  # fmt: skip
_OPERATION: dict[str, type] = {"name": _TEXT, "method": _TEXT, "paths": _LIST, "scope": _TEXT}
_OPERATION_OPTIONAL: dict[str, type] = {
    "cost_microeur": int, "request": _MAP, "response": _MAP, "stream": _TEXT, "reserved": _LIST,
}  # fmt: skip
_TENANT: dict[str, type] = {
    "name": _TEXT, "business_area": _TEXT, "cost_centers": _LIST, "connectors": _LIST, "quotas": _MAP, "regions": _LIST,
}  # fmt: skip

_TENANT_OPTIONAL: dict[str, type] = {"namespaces": _LIST}


class BadEntry(ValueError):
    """A registry file that must not be used; the text names file and member."""


class Registry(NamedTuple):
    """Everything that is registered, by name."""

    connectors: dict[str, dict[str, Any]]
    tenants: dict[str, dict[str, Any]]


def load_registry(folder: str = "") -> Registry:
    """Read `connectors/` and `tenants/` below `folder` (ours by default); raises BadEntry."""
    base = folder or os.path.dirname(os.path.abspath(__file__))
    tenants = _entries(os.path.join(base, "tenants"), _tenant)
    _check_namespaces(tenants, base)
    return Registry(
        {e["name"]: e for e in _entries(os.path.join(base, "connectors"), check_connector)},
        {e["name"]: e for e in tenants},
    )


def _entries(folder: str, read: Any) -> list[dict[str, Any]]:
    import ryaml  # 8 ms; the CSafeLoader of PyYAML costs twice that to import

    found = []
    for file in sorted(os.listdir(folder)):
        if not file.endswith(".yaml"):
            continue
        path = os.path.join(folder, file)
        with open(path, encoding="utf-8") as stream:
            try:
                document = ryaml.loads(stream.read())
            except (ryaml.InvalidYamlError, ValueError) as error:
                raise BadEntry(f"{path}: not YAML: {error}") from error
        if not isinstance(document, dict):
            raise BadEntry(f"{path}: not a mapping")
        read(document, path)
        if document["name"] != file.removesuffix(".yaml"):
            raise BadEntry(f"{path}: is named {document['name']!r} inside; rename one of the two")
        found.append(document)
    return found


def check_connector(document: dict[str, Any], path: str) -> None:
    """Raise BadEntry, with `path` in front, for what is no connector."""
    _check_members(document, _CONNECTOR, _CONNECTOR_OPTIONAL, path)
    if document["state"] not in STATES:
        raise BadEntry(f"{path}: state {document['state']!r} is not one of {', '.join(STATES)}")
    for scope, about in document["scopes"].items():
        if not isinstance(about, dict) or about.get("access") not in ACCESS or not isinstance(about.get("means"), str):
            raise BadEntry(f"{path}: scope {scope!r} needs access (read, write or admin) and means (plain words)")
    for host in document["hosts"]:
        if not isinstance(host, str) or "*" in host or "/" in host or host != host.lower():
            raise BadEntry(f"{path}: host {host!r} is not one plain host name in lower case")

    _check_days(document, path)
    _check_operations(document, path)
    _check_limits(document, path)
    _check_auth(document, path)
    _check_oauth(document, path)
    _check_mail(document, path)
    for region, hosts in document.get("region_hosts", {}).items():
        if region not in document["regions"] or not isinstance(hosts, list) or set(hosts) - set(document["hosts"]):
            raise BadEntry(f"{path}: region_hosts.{region} names a region or a host that the entry does not have")


def _check_days(document: dict[str, Any], path: str) -> None:
    """A day that nobody can read would be over for every rule (CONN-018, CONN-002), and nobody would see why."""
    for name, form, words in (("review_by", _DAY, "a day"), ("retires_at", _INSTANT, "an instant in UTC")):
        if name not in document:
            continue
        try:
            datetime.fromisoformat(document[name])
        except ValueError:
            is_real = False
        else:
            is_real = form.fullmatch(document[name]) is not None
        if not is_real:
            raise BadEntry(f"{path}: {name} {document[name]!r} is not {words}, such as {_SUCH_AS[name]}")


def _check_operations(document: dict[str, Any], path: str) -> None:
    names = [one.get("name") for one in document["operations"] if isinstance(one, dict)]
    for index, one in enumerate(document["operations"]):
        where = f"{path}: operations.{index}"
        if not isinstance(one, dict):
            raise BadEntry(f"{where}: not a mapping")
        _check_members(one, _OPERATION, _OPERATION_OPTIONAL, where)
        if names.count(one["name"]) > 1:
            raise BadEntry(f"{where}: a second operation {one['name']!r}")
        if one["method"] not in METHODS or one["scope"] not in document["scopes"]:
            raise BadEntry(f"{where}: method or scope is not one of {', '.join(METHODS)} and of the entry's scopes")
        if isinstance(one.get("cost_microeur"), bool) or one.get("cost_microeur", 0) < 0:
            raise BadEntry(f"{where}: cost_microeur is a whole number of millionths of a euro a call")
        if one.get("stream", STREAMS[0]) not in STREAMS:
            raise BadEntry(f"{where}: stream is not one of {', '.join(STREAMS)}")
        if (
            "stream" in one
            and document["fields"]
            and not any(field["pointer"][:1] in (["*"], ["**"]) for field in document["fields"])
        ):
            raise BadEntry(
                f'{where}: streams records, of which no entry of fields speaks (its pointer begins with "*" or "**")'
            )
        if not one["paths"] or not all(map(_is_template, one["paths"])):
            raise BadEntry(f"{where}: paths are templates such as /people/{{id}}, one whole segment a parameter")


def _is_template(template: Any) -> bool:
    if not isinstance(template, str) or not template.startswith("/"):
        return False
    parts = template[1:].split("/")
    return all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in parts)


def _check_limits(document: dict[str, Any], path: str) -> None:
    for name in ("limits", "per_minute"):
        for area, limit in document.get(name, {}).items():
            if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
                raise BadEntry(f"{path}: {name}.{area} is not a whole number")


def _check_auth(document: dict[str, Any], path: str) -> None:
    """How the broker puts the credential on; see `governance.platform.broker.credentials`."""
    auth = document.get("auth", {"scheme": "bearer"})
    scheme = auth.get("scheme")
    if scheme not in AUTH:
        raise BadEntry(f"{path}: auth.scheme {scheme!r} is not one of {', '.join(AUTH)}")
    # The secrets of these names hold a client certificate, and the tokens of a consent.
    if document["name"].startswith(("certificate-", "consent-")):
        raise BadEntry(f"{path}: name {document['name']!r} begins like the names of other secrets than a connector's")
    if document.get("mutual_tls") and "smtp" in document:
        raise BadEntry(f"{path}: mutual_tls is for connectors that are reached by HTTP")
    if set(auth) != {"scheme", *AUTH[scheme]} or not all(isinstance(value, str) and value for value in auth.values()):
        raise BadEntry(f"{path}: auth of the scheme {scheme} has the members {', '.join(('scheme', *AUTH[scheme]))}")
    if "token_url" in auth:
        _check_url(auth["token_url"], document["hosts"], f"{path}: auth.token_url")


def _check_oauth(document: dict[str, Any], path: str) -> None:
    oauth = document.get("oauth", {})
    unknown = set(oauth) - {"flows", "pkce", "issuer", "dpop", "parameters", *_OAUTH_URLS}
    if unknown or set(oauth.get("flows", ())) - set(FLOWS):
        raise BadEntry(f"{path}: oauth has a member or a flow that nobody knows; flows are {', '.join(FLOWS)}")
    for name in _OAUTH_URLS:
        if name in oauth:
            _check_url(oauth[name], None, f"{path}: oauth.{name}")
    if not isinstance(oauth.get("issuer", ""), str) or not isinstance(oauth.get("dpop", False), bool):
        raise BadEntry(f"{path}: oauth.issuer is a text and oauth.dpop true or false")
    parameters = oauth.get("parameters", {})
    if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
        raise BadEntry(f"{path}: oauth.parameters maps names to texts, for the vendor's authorization page alone")
    if document.get("auth", {}).get("scheme") == "person":
        needed = {_FLOW_NEEDS[flow] for flow in oauth.get("flows", ()) if flow in _FLOW_NEEDS}
        if not needed or {"token_url", *needed} - set(oauth):
            raise BadEntry(
                f"{path}: auth.scheme person needs oauth with a flow in which a person consents, and its addresses"
            )


def _check_mail(document: dict[str, Any], path: str) -> None:
    """`smtp: {from, tls?}` and `recipients`, the domains that mail may go to: either both or neither."""
    if ("smtp" in document) != ("recipients" in document):
        raise BadEntry(f"{path}: smtp needs recipients, the domains that mail may go to, and the other way round")
    if "smtp" not in document:
        return
    smtp = document["smtp"]
    if set(smtp) - {"tls"} != {"from"} or not _ADDRESS.fullmatch(str(smtp["from"])):
        raise BadEntry(f"{path}: smtp has the member from, one plain address, and tls where it is not starttls")
    if smtp.get("tls", "starttls") not in _MAIL_TLS:
        raise BadEntry(f"{path}: smtp.tls is one of {', '.join(_MAIL_TLS)}")
    if document.get("auth", {}).get("scheme") not in {"basic", "none"}:
        raise BadEntry(f"{path}: a connector by SMTP signs in with auth.scheme basic, or none")
    for domain in document["recipients"]:
        if not isinstance(domain, str) or not _ADDRESS.fullmatch(f"x@{domain}") or domain != domain.lower():
            raise BadEntry(f"{path}: recipients has {domain!r}, which is no domain in lower case")


def _check_url(url: Any, hosts: list[str] | None, where: str) -> None:
    found = _URL.fullmatch(url) if isinstance(url, str) else None
    if found is None or (hosts is not None and found["host"] not in hosts):
        raise BadEntry(f"{where} is not a plain https address" + (" at one of the entry's hosts" if hosts else ""))


def _tenant(document: dict[str, Any], path: str) -> None:
    _check_members(document, _TENANT, _TENANT_OPTIONAL, path)
    for name in document.get("namespaces", []):
        if not isinstance(name, str) or not _NAMESPACE.fullmatch(name):
            raise BadEntry(f"{path}: namespaces has {name!r}, which is no name of a Kubernetes namespace")


def _check_namespaces(tenants: list[dict[str, Any]], base: str) -> None:
    """A namespace says whose an app is: of two tenants it would say nothing."""
    owners: dict[str, str] = {}
    for tenant in tenants:
        for name in tenant.get("namespaces", []):
            other = owners.setdefault(name, tenant["name"])
            if other != tenant["name"]:
                raise BadEntry(f"{base}/tenants: the namespace {name!r} stands with {other!r} and {tenant['name']!r}")


def _check_members(document: dict[str, Any], needed: dict[str, type], optional: dict[str, type], path: str) -> None:
    for name, kind in needed.items():
        if not isinstance(document.get(name), kind):
            raise BadEntry(f"{path}: {name} is missing, or is no {kind.__name__}")
    for name, value in document.items():
        if name not in needed and (name not in optional or not isinstance(value, optional[name])):
            raise BadEntry(f"{path}: {name} is not a member of an entry, or is of another type")
