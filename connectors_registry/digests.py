"""The name of a connector's document by its content: what an approval is bound to, so that nobody approves what comes later."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where an entry is in its life, which only ever ends it and which rules of their own hold; and words that nothing shows to a
# person who consents and nothing decides by. Every other member counts: hosts, scopes and their words, schemas, classes,
# limits, who owns it, and until when it was reviewed.
NOT_COUNTED = frozenset({"state", "retires_at", "replaced_by", "documentation", "usage_limits"})


def digest_of(entry: Mapping[str, Any]) -> str:
    """`sha256:<hex>` over the entry's counted members as canonical JSON; the order and layout of the YAML are nothing to it."""
    counted = {name: value for name, value in entry.items() if name not in NOT_COUNTED}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
