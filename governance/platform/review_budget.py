"""What a tenant's design reviews used this month: tokens and money, in one document a tenant that a crash cannot reset.

The most that a question can use is taken before it is sent and what it did not use is given back afterwards: a process
that dies in between has spent it. One that cannot be read refuses, it never counts as empty.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.settings import Settings
    from governance.state.port import State

_MICRO = 1_000_000


class Spent(NamedTuple):
    """Use of one month."""

    tokens: int
    microcents: int


class Prices(NamedTuple):
    """Cents per million tokens, so microcents per token."""

    question: int
    answer: int

    def of(self, question: int, answer: int) -> Spent:
        """What so many tokens cost."""
        return Spent(question + answer, question * self.question + answer * self.answer)


def prices_of(settings: Settings) -> Prices:
    """`review_price`. Raises CallerError."""
    parts = settings.text("review_price").split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise CallerError(
            f"{settings.text('review_price')[:40]!r} is not two whole numbers",
            where="GOVERNANCE_REVIEW_PRICE",
            hint="cents per million tokens, question:answer, such as 250:1000",
        )
    return Prices(int(parts[0]), int(parts[1]))


class Budget:
    """The counters below reviews/spent/ in the state."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._state = state
        self._most = Spent(settings.number("review_budget_tokens"), settings.number("review_budget_cents") * _MICRO)

    def take(self, tenant: str, month: str, use: Spent) -> bool:
        """Take `use` out of the month's budget (`YYYY-MM`); False, and nothing taken, where it does not fit."""
        fits = False

        def taken(spent: Spent) -> Spent:
            nonlocal fits
            total = Spent(spent.tokens + use.tokens, spent.microcents + use.microcents)
            fits = total.tokens <= self._most.tokens and total.microcents <= self._most.microcents
            return total if fits else spent

        self._changed(tenant, month, taken)
        return fits

    def settle(self, tenant: str, month: str, taken: Spent, used: Spent) -> None:
        """Replace what was taken by what was used, which may be more: then the next question may not fit."""

        def settled(spent: Spent) -> Spent:
            tokens = max(0, spent.tokens - taken.tokens) + used.tokens
            return Spent(tokens, max(0, spent.microcents - taken.microcents) + used.microcents)

        self._changed(tenant, month, settled)

    def spent(self, tenant: str, month: str) -> Spent:
        """What the month has used so far."""
        return self._changed(tenant, month, lambda spent: spent)

    def _changed(self, tenant: str, month: str, edit: Callable[[Spent], Spent]) -> Spent:
        """What the month has used after `edit`. Raises DependencyError."""
        # The name of a document says nothing of the tenant's text, which may hold anything.
        name = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        path = f"reviews/spent/{name}-{month}.json"
        after = Spent(0, 0)

        def change(held: bytes | None) -> bytes | None:
            nonlocal after
            before = _read(held)
            after = edit(before)
            return held if after == before else json.dumps({"tenant": tenant[:100], **after._asdict()}).encode()

        try:
            self._state.change(path, change)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DependencyError(
                f"the review budget cannot be counted: {error}", where=path, hint="mend or remove the file"
            ) from error
        return after


def _read(raw: bytes | None) -> Spent:
    if raw is None:
        return Spent(0, 0)
    value = json.loads(raw)
    spent = Spent(value["tokens"], value["microcents"])
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in spent):
        raise ValueError("not counts")
    return spent
