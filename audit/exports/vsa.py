"""Each decision as a signed attestation: an in-toto statement with SLSA's verification summary, in a DSSE envelope.

Formats: in-toto Statement v1, https://slsa.dev/spec/v1.0/verification_summary, DSSE v1. The subject is what was decided
on, by the digest that stands in the record. Only an allow without a missing approval is PASSED.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from audit.canonical import canonical
from audit.envelopes import envelope, signature, to_be_signed
from audit.exports.totals import is_decision

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows
    from audit.walk import Record

_PASSES = frozenset({"allow", "warn"})


def write(rows: Rows, path: Path, context: Context) -> None:
    """One envelope a line, signed under the log's key."""
    key_id = context.verifier_key.split("+")[1]
    with path.open("wb") as file:
        for record in rows():
            if is_decision(record):
                payload = canonical(statement(record, context))
                signed = signature(key_id, context.sign(to_be_signed(payload)))
                file.write(json.dumps(envelope(payload, [signed]), separators=(",", ":")).encode() + b"\n")


def statement(record: Record, context: Context) -> dict[str, Any]:
    """The in-toto statement of one decision."""
    public = record.leaf["public"]
    name = f"{public.get('tenant') or '-'}/{public.get('app') or '-'}"
    passed = public["effect"] in _PASSES and not public.get("error")
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": _digest(str(public["input_digest"]))}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": f"https://{context.verifier_key.split('+')[0]}"},
            "timeVerified": record.leaf["time"],
            "resourceUri": f"urn:microapp:{name}:{record.leaf['kind']}",
            "policy": {
                "uri": f"urn:governance-policy:{public['revision']}",
                "digest": _digest(str(public["revision"])),
            },
            "verificationResult": "PASSED" if passed else "FAILED",
            "verifiedLevels": [],
            "slsaVersion": "1.0",
            "decision": {
                "id": public.get("decision_id"),
                "effect": public["effect"],
                "rules": public.get("rules", []),
                "waivers": public.get("waivers", []),
                "logIndex": record.leaf["index"],
            },
        },
    }


def _digest(text: str) -> dict[str, str]:
    name, colon, value = text.partition(":")
    return {name: value} if colon and name == "sha256" and len(value) == 64 else {}
