"""Envoy's own words about what it took: its statistics, over the admin socket. A bad file is refused in silence otherwise."""

from __future__ import annotations

import http.client
import json
import socket
from typing import NamedTuple

from runtime_adapters.gateway.configuration import ANSWERING, CLUSTERS, ISSUERS, KEYS, LISTENERS, QUESTION
from runtime_adapters.gateway.filters import ASK, HELD, IDENTITY, TOKENS

_TIMEOUT_S = 5.0
_PREFIXES = {
    CLUSTERS: "cluster_manager.cds",
    LISTENERS: "listener_manager.lds",
    KEYS: f"extension_config_discovery.http_filter.{IDENTITY}",
    ISSUERS: f"extension_config_discovery.http_filter.{TOKENS}",
    QUESTION: f"extension_config_discovery.http_filter.{ASK}",
    ANSWERING: f"extension_config_discovery.http_filter.{HELD}",
}
_FILTER = r"(version_text|update_rejected|config_fail|config_conflict|server\.state|total_listeners_active)$"


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


class Taken(NamedTuple):
    """What one Envoy says about one file."""

    version: str
    """Of the last content that it took; empty: none, or not told for this sort of file."""
    rejected: int
    """How many contents it refused since it started."""


def statistics(admin_socket: str) -> dict[str, str | int]:
    """Counters and texts by name. Raises OSError where nobody answers."""
    connection = _Unix(admin_socket)
    try:
        connection.request("GET", f"/stats?format=json&filter={_FILTER}")
        answer = connection.getresponse()
        raw = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    return {row["name"]: row["value"] for row in json.loads(raw)["stats"] if "name" in row}


def taken(found: dict[str, str | int], file: str) -> Taken:
    """What the statistics say about one file of `configuration.render`."""
    prefix = _PREFIXES.get(file) or f"http.apps.rds.{file.removeprefix('routes-').removesuffix('.json')}"
    refused = int(found.get(f"{prefix}.update_rejected", 0)) + int(found.get(f"{prefix}.config_fail", 0))
    return Taken(str(found.get(f"{prefix}.version_text", "")), refused)
