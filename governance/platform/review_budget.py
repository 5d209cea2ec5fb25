"""What a tenant's design reviews used this month: tokens and money, in one file a tenant that a crash cannot reset.

The most that a question can use is taken before it is sent and what it did not use is given back afterwards: a process
that dies in between has spent it. A file that cannot be read refuses, it never counts as empty.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from governance.settings import Settings

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
    """The counters below `home`/reviews/spent."""

    def __init__(self, settings: Settings) -> None:
        self._folder: Path = settings.home / "reviews" / "spent"
        self._most = Spent(settings.number("review_budget_tokens"), settings.number("review_budget_cents") * _MICRO)

    def take(self, tenant: str, month: str, use: Spent) -> bool:
        """Take `use` out of the month's budget (`YYYY-MM`); False, and nothing taken, where it does not fit."""
        with self._counter(tenant, month) as counter:
            total = Spent(counter.spent.tokens + use.tokens, counter.spent.microcents + use.microcents)
            fits = total.tokens <= self._most.tokens and total.microcents <= self._most.microcents
            if fits:
                counter.spent = total
            return fits

    def settle(self, tenant: str, month: str, taken: Spent, used: Spent) -> None:
        """Replace what was taken by what was used, which may be more: then the next question may not fit."""
        with self._counter(tenant, month) as counter:
            tokens = max(0, counter.spent.tokens - taken.tokens) + used.tokens
            counter.spent = Spent(tokens, max(0, counter.spent.microcents - taken.microcents) + used.microcents)

    def spent(self, tenant: str, month: str) -> Spent:
        """What the month has used so far."""
        with self._counter(tenant, month) as counter:
            return counter.spent

    @contextmanager
    def _counter(self, tenant: str, month: str) -> Iterator[_Counter]:
        # The name of a file says nothing of the tenant's text, which may hold anything.
        name = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        path = self._folder / f"{name}-{month}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                counter = _Counter(_read(path))
                before = counter.spent
                yield counter
                if counter.spent != before:
                    _write(path, {"tenant": tenant[:100], **counter.spent._asdict()})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DependencyError(
                f"the review budget cannot be counted: {error}", where=str(path), hint="mend or remove the file"
            ) from error


class _Counter:
    def __init__(self, spent: Spent) -> None:
        self.spent = spent


def _read(path: Path) -> Spent:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Spent(0, 0)
    spent = Spent(value["tokens"], value["microcents"])
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in spent):
        raise ValueError("not counts")
    return spent


def _write(path: Path, value: dict[str, str | int]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
