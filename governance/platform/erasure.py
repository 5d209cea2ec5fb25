"""What holds a person beside the log, for their erasure: consents they gave, and events that wait or are dead letters.

In this order: `look` finds and changes nothing; the log says whether a hold stands against it; `erase` ends each thing, on
record, sealed under the person's key; and last the log destroys that key. Whoever is killed in between asks again, and no
certificate was given for what is still there. Who is erased is not delivered: a body goes with every delivery of it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from audit.record import Entry
from governance.enrich.scan import masked_texts
from governance.model.moment import new_decision_id, utc_now
from governance.platform.broker.events.outbox_rows import UNBOUND
from governance.platform.oauth.asking import consent_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from audit.record import Receipt
    from governance.model.request import Json
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.outbox_rows import Kept
    from governance.platform.oauth.consents import Consent, Consents

    Record = Callable[[Entry], Receipt]
    """Returns once an entry is durable, or raises."""

ENTRY_POINT = "cli.audit"
_PAGE = 500
# Of an event's attributes those in which nobody can be meant: the exchange's own, and names of types.
_NOBODY = frozenset(
    {"specversion", "type", "time", "datacontenttype", "dataschema", "tenantid", "decisionid", "traceparent"}
)


class Parts(NamedTuple):
    """What an erasure looks into, and how it ends what it finds."""

    consents: Sequence[Consents]
    outboxes: Sequence[Outbox]
    take_back: Callable[[Consent, Record], bool | None]
    """Forgets the tokens of a consent; whether the vendor took them back, None where there were none."""


class Found(NamedTuple):
    """Where the person is."""

    consents: list[tuple[Consents, Consent]]
    events: list[tuple[Outbox, Kept]]

    @property
    def apps(self) -> list[str]:
        """Whose things they are: a hold on one of them stands against it."""
        named = {one.app for _, one in self.consents} | {one.publisher for _, one in self.events}
        return sorted(named | {delivery.app for _, one in self.events for delivery in one.deliveries})

    @property
    def tenants(self) -> list[str]:
        """The same for tenants."""
        return sorted({one.tenant for _, one in self.consents} | {_tenant(one.body) for _, one in self.events})


class Erased(NamedTuple):
    """What went."""

    consents: int
    events: int
    deliveries: int
    unrevoked: int
    """Consents whose tokens a vendor did not take back."""


def look(parts: Parts, subject: str) -> Found:
    """Everything that is about a person, or says their name as a word of its own, in whatever case."""
    names = mention_of(subject)
    consents = [(store, one) for store in parts.consents for one in store.all(person=subject)]
    return Found(consents, [(outbox, one) for outbox in parts.outboxes for one in _events(outbox, names)])


def erase(parts: Parts, subject: str, actor: str, found: Found, record: Record) -> Erased:
    """End all of it. `record` returns once an entry is durable, or raises; asked again, this goes on from there."""
    unrevoked, ended = 0, set()
    for store, consent in found.consents:
        if consent.state != "withdrawn" and consent.id not in ended:
            store.withdraw(consent.id, actor, utc_now())
            record(consent_entry("consent_withdrawn", consent, actor=actor, entry_point=ENTRY_POINT))
        # Of one that had ended as well: whoever ended it may have been killed before its token went.
        unrevoked += parts.take_back(consent, record) is False
        record(consent_entry("consent_erased", consent, actor=actor, entry_point=ENTRY_POINT))
        store.remove(consent.id)
        ended.add(consent.id)
    names = mention_of(subject)
    for outbox, event in found.events:
        for entry in _endings(event, subject, actor):
            record(entry)
        outbox.forget(event.seq, is_named=names(event.id) or names(_own_part(event.source)))
    # Also where nothing was found: one killed in the middle may have left copies.
    for consents in parts.consents:
        consents.scrub()
    for outbox in parts.outboxes:
        outbox.scrub()
    return Erased(len(ended), len(found.events), sum(len(one.deliveries) for _, one in found.events), unrevoked)


def mention_of(subject: str) -> Callable[[str], bool]:
    """Whether a text names a subject: not as a part of a longer ASCII word or number."""
    pattern = re.compile(rf"(?<![0-9a-z]){re.escape(_folded(subject))}(?![0-9a-z])")
    return lambda text: pattern.search(_folded(text)) is not None


def _events(outbox: Outbox, names: Callable[[str], bool]) -> Iterator[Kept]:
    after = UNBOUND
    while page := outbox.kept(after, _PAGE):
        after = page[-1].seq
        yield from (one for one in page if any(names(text) for text in _texts_of(one)))


def _texts_of(event: Kept) -> Iterator[str]:
    yield event.id
    yield _own_part(event.source)
    yield from (one.reason for one in event.deliveries)
    said = json.loads(event.body) if event.body else {}
    yield from _texts({name: value for name, value in said.items() if name not in _NOBODY and name != "source"})


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif value is not None:
        yield str(value)


def _own_part(source: str) -> str:
    """Of `/apps/lunch/orders` what its publisher chose: an app may be called as a person is."""
    return "/".join(source.split("/")[3:])


def _endings(event: Kept, subject: str, actor: str) -> Iterator[Entry]:
    """A record for each delivery that will not be; one for an event that was through, and is only forgotten."""
    said = masked_texts({"source": event.source, "id": event.id})
    about = [(one.app, {"delivery": one.number, "subscription": one.subscription}) for one in event.deliveries]
    for app, place in about or [(event.publisher, {})]:
        public = {
            "decision_id": new_decision_id(), "actor": actor, "entry_point": ENTRY_POINT, "effect": "deny", "app": app,
            "tenant": "", "rules": [], "change": "erased", **place,
        }  # fmt: skip
        yield Entry("event_ended", utc_now(), public, said, subject)


def _tenant(body: str) -> str:
    return str(json.loads(body).get("tenantid", "")) if body else ""


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
