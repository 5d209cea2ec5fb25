"""An attestation as an in-toto statement, and whether it says what was decided.

Format: in-toto Statement v1; the predicate is of our own. Whoever records it signs it (DSSE, under the log's key). It is
measured by the host that starts the app, and proves nothing against its owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime_adapters.port import NotWhatWasDecided

if TYPE_CHECKING:
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Artifact, Attestation

PREDICATE = "https://microapps.internal/runtime-start/v1"
_CODE = ("module", "rootfs")
"""Parts that an app brings; the others are this host's."""


def statement(attestation: Attestation) -> dict[str, Any]:
    """The subjects are the parts by name; the predicate says under what they run."""
    told = attestation._asdict()
    parts = told.pop("digests")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest in parts.items()
        ],
        "predicateType": PREDICATE,
        "predicate": {**told, "egress_allow": list(attestation.egress_allow)},
    }


def check_attested(plan: RuntimePlan, artifact: Artifact, attestation: Attestation) -> None:
    """Raises NotWhatWasDecided naming the first thing that is otherwise than it was decided."""
    decided = {
        "decision_id": plan.decision_id, "app": plan.app, "tenant": plan.tenant, "adapter": plan.runtime_class,
        "caps": dict(plan.caps._asdict()), "egress_allow": plan.egress_allow,
        "clock": plan.clock, "randomness": plan.randomness,
    }  # fmt: skip
    for name, value in decided.items():
        found = getattr(attestation, name)
        if (name, found) == ("adapter", "firecracker"):
            found = "microvm"  # the class has two engines
        if found != value:
            raise NotWhatWasDecided(
                f"{name}: the decision says {value!r}, the {attestation.adapter} adapter gives {found!r}"
            )
    digests = {attestation.digests[name] for name in _CODE if name in attestation.digests}
    wanted = f"sha256:{artifact.sha256.removeprefix('sha256:')}"
    if digests != {wanted}:
        raise NotWhatWasDecided(
            f"the manifest says {wanted}, the adapter has {', '.join(sorted(digests)) or 'nothing'}"
        )
