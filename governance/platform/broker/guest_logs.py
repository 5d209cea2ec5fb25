"""What must not be seen in an app's log: what the scanner finds in it, by the policy in force, as in any other text.

Each line is looked at by itself, one that is JSON member by member. Bytes that are no characters are looked over as well as
at, since a value may be written with some of them in between. A private key is more than its first line. Where the work is
bounded off, nobody knows what is left, and the adapter shows none of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.documents.leaves import leaves_in_text
from governance.enrich.pii.analyze import analyze
from governance.enrich.scan import span_in
from runtime_adapters.guest_log import NO_CHARACTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.analyze import Finding
    from governance.enrich.pii.policy import ScanPolicy
    from runtime_adapters.port import Mask

    Spot = tuple[int, int, str]

# A log is scanned on the worker that ran the app: a twentieth of a second for one of full size, a tenth at the outside.
_MOST_WORK = 1_500_000
_LINES = "application/x-ndjson"
_RESPELLED = re.compile(r"\\|\d[eE][+-]?\d")


def log_mask(policy: Callable[[], ScanPolicy]) -> Mask:
    """`policy` is asked once a log, so that a new bundle takes effect with the next one. Raises what the scanner raises."""

    def mask(text: str) -> Iterator[Spot]:
        now = policy()
        now = now._replace(work=min(now.work, _MOST_WORK))
        yield from _spots(text, now)
        places = [at for at, character in enumerate(text) if character != NO_CHARACTER]
        if len(places) < len(text):
            for start, end, word in _spots("".join(text[at] for at in places), now):
                yield places[start], places[end - 1] + 1, word

    return mask


def _spots(text: str, policy: ScanPolicy) -> Iterator[Spot]:
    leaves = leaves_in_text(text, _LINES)
    for finding in analyze(leaves, policy, hints=True):
        for start, end in _places(text, finding, leaves[finding.leaf]):
            yield start, _end_of_key(text, end) if finding.entity == "PRIVATE_KEY" else end, finding.entity


def _places(text: str, finding: Finding, leaf: Leaf) -> Iterator[tuple[int, int]]:
    """Where it stands; for a member of a line that is JSON wherever its value does, or else the whole line."""
    span = span_in(finding, leaf) or (0, len(text))
    # Where a line is spelled with escapes or exponents, the same value may stand in it again in another spelling.
    at = -1 if leaf.is_exact or _RESPELLED.search(text, *span) else text.find(leaf.text, *span)
    if at < 0:
        yield span
    while at >= 0:
        yield at, at + len(leaf.text)
        at = text.find(leaf.text, at + len(leaf.text), span[1])


def _end_of_key(text: str, start: int) -> int:
    """A key goes on to the line that says where it ends; one without that, to the end of everything."""
    end = text.find("-----END ", start)
    end = text.find("\n", end) if end >= 0 else -1
    return end if end >= 0 else len(text)
