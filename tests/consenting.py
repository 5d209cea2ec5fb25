"""An app that acts for people: its connector in a registry of its own, its template, its manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

import connectors_registry
from connectors_registry.digests import digest_of
from governance.log_wiring import state_of
from governance.platform.connector_approvals import Approvals, Asked
from governance.platform.keys import Identity
from governance.settings import Settings
from governance.wiring import registry_of

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
HOST = "login.vendor.example"
PURPOSE = "Free hours of the people who want to meet."
CALL = {
    "operation": "read calendar",
    "method": "GET",
    "url": f"https://{HOST}/api/me/events",
    "scopes": ["Calendars.Read"],
}

CALENDAR = {
    "name": "calendar",
    "title": "Team calendar",
    "state": "approved",
    "owner": "collaboration",
    "review_by": "2099-06-30",
    "hosts": [HOST],
    "regions": ["eu"],
    "scopes": {
        "Calendars.Read": {"access": "read", "means": "See when you are busy, and with whom"},
        "Calendars.Shared": {"access": "read", "means": "See calendars that others share with you"},
        "openid": {"access": "read", "means": "See who you are"},
    },
    "data_classes": ["internal", "personal"],
    "operations": [
        {"name": "read calendar", "method": "GET", "paths": ["/api/me/events"], "scope": "Calendars.Read"},
        {"name": "read shared", "method": "GET", "paths": ["/api/shared"], "scope": "Calendars.Shared"},
    ],
    "fields": [
        {"pointer": ["value", "*", "displayName"], "class": "personal", "pii": "name"},
        {"pointer": ["value", "*", "mail"], "class": "personal", "pii": "email"},
    ],
    "limits": {"*": 1000},
    "per_minute": {"*": 600},
    "auth": {"scheme": "person"},
    "oauth": {
        "flows": ["authorization_code", "device_code"],
        "authorization_url": f"https://{HOST}/authorize",
        "token_url": f"https://{HOST}/token",
        "revocation_url": f"https://{HOST}/revoke",
        "device_authorization_url": f"https://{HOST}/device",
        "issuer": f"https://{HOST}",
        "pkce": "S256",
    },
    "documentation": "https://www.rfc-editor.org/rfc/rfc6749",
    "tenants": ["marketing"],
}


def registry(folder: Path, **changes) -> Path:
    """The registry that comes with the package, with the calendar in it, and another that is like it."""
    for part in ("connectors", "tenants"):
        shutil.copytree(Path(connectors_registry.__file__).parent / part, folder / part)
    for name in ("calendar", "other"):
        entry = {**CALENDAR, "name": name, **changes}
        (folder / "connectors" / f"{name}.yaml").write_text(yaml.safe_dump(entry))
    tenant = folder / "tenants" / "marketing.yaml"
    known = yaml.safe_load(tenant.read_text())
    known["connectors"] += ["calendar", "other"]
    tenant.write_text(yaml.safe_dump(known))
    return folder


def agreed(settings: Settings) -> None:
    """Owner and compliance approve every connector of the settings' registry, as it is now."""
    approvals = Approvals(state_of(settings))
    for entry in registry_of(settings).connectors.values():
        people = {"owner": Identity("key:owner", "platform", "", entry["owner"], "ana.k")}
        for part, who in {**people, "compliance": Identity("key:officer", "compliance", "", "", "ben.o")}.items():
            approvals.keep(Asked(entry, approvals, who, part=part, digest=digest_of(entry), reason="read it"))


def connectors(*scopes: str) -> list[dict]:
    return [{"name": "calendar", "scopes": list(scopes), "purpose": PURPOSE, "hosts": [HOST]}]


def template() -> dict:
    found = yaml.safe_load((EXAMPLES / "template.yaml").read_text())
    found["metadata"]["name"] = "meetings"
    found["spec"]["connectors"] = connectors("Calendars.Read", "Calendars.Shared", "openid")
    found["spec"]["egress"] = [HOST]
    return found


def manifest(*scopes: str) -> dict:
    found = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
    found["metadata"]["name"] = "dates"
    found["spec"]["template"] = {"name": "meetings", "version": found["spec"]["template"]["version"]}
    found["spec"]["connectors"] = connectors(*(scopes or ("Calendars.Read",)))
    found["spec"]["egress"] = [HOST]
    return found
