"""What an adapter is told: one plan per start of an app. Adapters add nothing to it and widen nothing."""

from __future__ import annotations

from typing import NamedTuple


class Caps(NamedTuple):
    """Upper limits for one instance."""

    cpu: float
    """Cores."""
    memory_mib: int
    timeout_ms: int
    """Wall clock of one call."""
    storage_mib: int
    """Ephemeral storage."""


class RuntimePlan(NamedTuple):
    """How one app may run, from an allowed deploy decision."""

    app: str
    tenant: str
    decision_id: str
    """The decision that permits this start; an adapter records it with what it launches."""
    runtime_class: str
    """wasm | microvm | container"""
    caps: Caps
    egress_allow: tuple[str, ...]
    """Host names the instance may reach through the broker; empty means no network at all."""
    clock: str = "real"
    """real | coarse | the one instant (RFC 3339) that a guest sees"""
    randomness: str = "real"
    """real | seeded"""
    artifact: str = ""
    """`sha256:` and the digest of what may run: a module's, an archive's, or that of an image's manifest or index."""
