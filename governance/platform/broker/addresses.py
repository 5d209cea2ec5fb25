"""From a host name to the one address that a call connects to.

Names are resolved here and once: what was looked at is what is connected to, so a name that answers differently a moment
later (DNS rebinding) changes nothing. One address among several that is not of the public internet refuses the name.
An operator may pin a host to an address and a CA, for systems on their own premises; an app cannot.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.urls import is_private
from governance.errors import CallerError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Resolve = Callable[[str], Awaitable[list[str]]]


_HTTPS = 443


class Pin(NamedTuple):
    """Where an operator says that a host is."""

    address: str
    port: int
    ca_file: str
    """PEM; empty: the system's authorities."""


class Place(NamedTuple):
    """Where a call to a host connects to."""

    host: str
    addresses: tuple[str, ...]
    port: int
    ca_file: str = ""


class NotReachable(DependencyError):
    """The host has no address that may be connected to."""

    code = "address_refused"
    status = 502


async def resolved(host: str) -> list[str]:
    """Every address that the system's resolver knows."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReachable(
            f"the host {host} cannot be resolved", hint="is its name right, and DNS reachable?"
        ) from error
    return list(dict.fromkeys(str(row[4][0]) for row in found))


class Addresses:
    """Looks up places. `pins` by host; `resolve` is the system's resolver unless a test brings its own."""

    def __init__(self, pins: Mapping[str, Pin] | None = None, resolve: Resolve = resolved) -> None:
        self._pins = dict(pins or {})
        self._resolve = resolve

    async def place(self, host: str, port: int = _HTTPS) -> Place:
        """Where to connect to, at `port` unless it is pinned. Raises NotReachable: every address has to be a public one."""
        pin = self._pins.get(host)
        if pin is not None:
            return Place(host, (pin.address,), pin.port, pin.ca_file)
        found = await self._resolve(host)
        refused = [address for address in found if is_private(address, is_ip=True)]
        if refused or not found:
            raise NotReachable(
                f"the host {host} leads to an address that is not of the public internet",
                hint="an operator can pin the hosts of systems on their own premises (GOVERNANCE_CONNECTOR_PINS)",
            )
        return Place(host, tuple(found), port)


def read_pins(path: str) -> dict[str, Pin]:
    """`{host: {"address": …, "port"?: …, "ca_file"?: …}}` from a JSON file; none without one. Raises CallerError."""
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
        return {host: _pin(row) for host, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CallerError(
            f"is no file of pins: {error}",
            where=path,
            hint='{"host": {"address": "10.0.0.7", "port": 443, "ca_file": "ca.pem"}}',
        ) from error


def _pin(row: dict[str, object]) -> Pin:
    unknown = sorted(set(row) - {"address", "port", "ca_file"})
    if unknown:
        raise ValueError(f"{unknown[0]} is not a member of a pin")
    import ipaddress

    port = row.get("port", 443)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"{port!r} is no port")
    return Pin(str(ipaddress.ip_address(str(row["address"]))), port, str(row.get("ca_file", "")))
