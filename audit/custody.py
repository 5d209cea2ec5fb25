"""What may become of records that are there: legal hold, erasure of a person, the end of retention, a new signing key.

Each is a record in the same commit as its effect, and none touches a hash: every proof that was ever given still verifies.
What is sealed goes (with its key, or by itself); a leaf goes only at the beginning of the log, in whole entry bundles, once
everything before it has gone (C2SP tlog-tiles, "Pruning").
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from audit.certificate import certificate_of, certificate_text, commitment_to
from audit.errors import BadFilter, BadQuestion, HeldBack, NothingThere
from audit.log import Amendment
from audit.notes import signed
from audit.pruned import in_parts
from audit.record import Entry
from audit.retention import cut_off, parse_retention
from audit.rotation import rotation_public
from audit.rows import Change, Filter, indexes_of, ranges_text
from audit.store import CUSTODY, TILE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audit.keys import SigningKey
    from audit.log import AuditLog
    from audit.log_store import LogStore
    from audit.openings import Vault

HELD_BY = ("app", "tenant", "actor", "kind", "connector", "subject", "since", "until")
"""Members of a filter that may say what a hold covers."""
# One commit empties at most this many records: decisions wait behind it.
MOST_AT_ONCE = 20_000
MOST_LEAVES_AT_ONCE = 80 * TILE_WIDTH


class Custody:
    """The verbs, for whoever holds the log: `act` takes and gives JSON, so that they also travel over the writer's socket.

    `arguments` of every verb hold `time` (RFC 3339) and `public`, the record's members that say who asked through which door.
    `erase` takes `dry_run` (only say whether a hold stands against it), `touches` (apps and tenants whose things beside the log
    go with it), `reached` and `beside`: what went and what stays there, for the certificate.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hold": self._hold,
            "release": self._release,
            "erase": self._erase,
            "prune": self._prune,
            "rotate_key": self._rotate_key,
            "finish_rotation": self._finish_rotation,
        }

    def act(self, verb: str, arguments: dict[str, Any], timeout_s: float = 120.0) -> dict[str, Any]:
        """Carry out a verb; raises AuditError saying why not, and then nothing was changed."""
        known = self._verbs.get(verb)
        if known is None:
            raise BadQuestion(f"{verb[:40]!r} is not one of {', '.join(self._verbs)}")
        return known({**arguments, "timeout_s": timeout_s})

    def _hold(self, wanted: dict[str, Any]) -> dict[str, Any]:
        scope = {name: str(value) for name, value in wanted["scope"].items() if value}
        if not scope or set(scope) - set(HELD_BY):
            raise BadFilter(f"a hold names what it covers by {', '.join(HELD_BY)}")
        if not wanted["reason"].strip() or not wanted["owner"].strip():
            raise BadQuestion("a hold needs a reason and an owner")
        hold = os.urandom(6).hex()
        sealed = {"scope": scope, "reason": wanted["reason"], "owner": wanted["owner"]}

        def plan(store: LogStore, _vault: Vault, _index: int) -> Amendment:
            covered = len(list(store.search(scoped(scope))))
            public = {**wanted["public"], "hold": hold, "change": "add", "covered": covered}
            return Amendment([Entry("hold", wanted["time"], public, sealed, scope.get("subject", ""))])

        (receipt,) = self._log.amend(plan).result(wanted["timeout_s"]).receipts
        return {"hold": hold, "record": receipt.index}

    def _release(self, wanted: dict[str, Any]) -> dict[str, Any]:
        def plan(store: LogStore, _vault: Vault, _index: int) -> Amendment:
            if wanted["hold"] not in active_holds(store):
                raise NothingThere(f"no hold {wanted['hold'][:40]!r} is in force (`audit hold list`)")
            public = {**wanted["public"], "hold": wanted["hold"], "change": "release"}
            return Amendment([Entry("hold", wanted["time"], public, {"reason": wanted["reason"]})])

        (receipt,) = self._log.amend(plan).result(wanted["timeout_s"]).receipts
        return {"hold": wanted["hold"], "record": receipt.index}

    def _erase(self, wanted: dict[str, Any]) -> dict[str, Any]:
        subject, salt = str(wanted["subject"]), os.urandom(16)
        if not subject or not wanted["reason"].strip():
            raise BadQuestion("an erasure names a subject and gives a reason")
        commitment, key, exported = commitment_to(subject, salt), self._log.key, [""]

        def plan(store: LogStore, vault: Vault, index: int) -> Amendment:
            is_known = store.subject_key(subject) is not None
            emptied = list(store.search(Filter(subject=subject), newest_first=False)) if is_known else []
            held = next((hold for hold, covered in held_records(store, vault) if not covered.isdisjoint(emptied)), None)
            held = held or _held_by_name(store, vault, subject) or _held_beside(store, vault, wanted.get("touches", {}))
            if held is not None:
                raise HeldBack(f"hold {held} covers something of this subject; nothing was erased (`audit hold list`)")
            if wanted.get("dry_run"):
                return Amendment([])
            if not is_known:
                store.scrub()  # asked again because the first time a reader stood in the way
                raise NothingThere("nothing sealed is kept for this subject")
            public = {**wanted["public"], "subject_commitment": commitment}
            exported[0] = _exported_since(store, emptied)
            return _emptying("erasure", wanted, public, emptied, index, subject=subject)

        amended = self._log.amend(plan).result(wanted["timeout_s"])
        if not amended.receipts:
            return {"records": 0}
        records = [self._log.reader.record(receipt.index) for receipt in amended.receipts]
        indexes = ",".join(record["public"]["indexes"] for record in records)
        what = {"time": wanted["time"], "commitment": commitment, "salt": salt.hex(), "indexes": indexes}
        what["exports"] = exported[0]
        by = [f"{receipt.index} {receipt.leaf_hash}" for receipt in amended.receipts]
        beside, reached = ([" ".join(str(one).split()) for one in wanted.get(of, ())] for of in ("beside", "reached"))
        certificate = certificate_of(amended.note, key.verifier, what, by, beside, reached)
        text = certificate_text(key.verifier.name, certificate)
        return {
            "records": sum(record["public"]["records"] for record in records),
            "indexes": indexes,
            "by": [receipt.index for receipt in amended.receipts],
            "certificate": signed(text, key.verifier, key.sign(text.encode())),
        }

    def _prune(self, wanted: dict[str, Any]) -> dict[str, Any]:
        retention = parse_retention(wanted["retention"])
        public = {
            **wanted["public"],
            "classes": [f"{c.kind or '*'}/{c.tenant or '*'}: {c.keep}" for c in retention.classes],
        }
        found: dict[str, Any] = {"records": 0, "minimum": 0, "more": False, "held": 0}

        def plan(store: LogStore, vault: Vault, index: int) -> Amendment:
            held: set[int] = set().union(*(covered for _, covered in held_records(store, vault)))
            emptied: list[int] = []
            for candidate in _expired(store, retention.classes, wanted["time"]):
                if candidate in held:
                    found["held"] += 1
                elif len(emptied) == MOST_AT_ONCE:
                    found["more"] = True
                    break
                else:
                    emptied.append(candidate)
            minimum = _minimum(store, retention.leaves, wanted["time"], held) if not emptied else 0
            if minimum > store.minimum() + MOST_LEAVES_AT_ONCE:
                minimum, found["more"] = store.minimum() + MOST_LEAVES_AT_ONCE, True
            found.update(records=len(emptied), minimum=minimum)
            # Leaves go in a second step, once their content has gone.
            found["more"] = found["more"] or (bool(emptied) and bool(retention.leaves))
            if (not emptied and not minimum) or wanted.get("dry_run"):
                return Amendment([])
            if minimum:
                return _cutting(store, wanted["time"], {**public, "minimum": minimum}, index)
            return _emptying("prune", wanted, {**public, "minimum": store.minimum()}, sorted(emptied), index)

        self._log.amend(plan).result(wanted["timeout_s"])
        return found

    def _rotate_key(self, wanted: dict[str, Any]) -> dict[str, Any]:
        current = self._log.key
        unrecorded = len(current.verifiers) > 1 and str(current.verifier) not in self._recorded_keys()
        # Killed between the file and the record: the key is there already, and only the record is missing.
        successor = current if unrecorded else current.successor()

        def entry(key: SigningKey) -> Entry:
            return Entry("key_rotation", wanted["time"], {**wanted["public"], **rotation_public(key)}, {})

        self._log.rotate_key(entry, successor).result(wanted["timeout_s"])
        return {"old_key": str(successor.verifiers[1]), "new_key": str(successor.verifier)}

    def _finish_rotation(self, wanted: dict[str, Any]) -> dict[str, Any]:
        current = self._log.key
        if len(current.verifiers) == 1 or str(current.verifier) not in self._recorded_keys():
            raise NothingThere("no key is on its way out (`audit rotate-key` begins a rotation)")
        public = {**wanted["public"], "change": "finish", "new_key": str(current.verifier)}

        def entry(_key: SigningKey) -> Entry:
            return Entry("key_rotation", wanted["time"], public, {})

        self._log.rotate_key(entry, None).result(wanted["timeout_s"])
        return {"new_key": str(current.verifier)}

    def _recorded_keys(self) -> set[str]:
        return {str(r["public"].get("new_key")) for r in self._log.reader.custody("key_rotation")}


def scoped(scope: dict[str, str]) -> Filter:
    """The filter that a hold's scope is."""
    wanted: dict[str, Any] = {**scope}
    return Filter(**wanted)


def active_holds(store: LogStore) -> dict[str, int]:
    """Holds in force, with the index of the record that began each."""
    holds: dict[str, int] = {}
    for index in store.custody("hold"):
        public = json.loads(store.leaf(index) or b"{}")["public"]
        if public["change"] == "add":
            holds[public["hold"]] = index
        else:
            holds.pop(public["hold"], None)
    return holds


def held_records(store: LogStore, vault: Vault) -> Iterator[tuple[str, set[int]]]:
    """(hold, indexes it covers) for each in force; raises HeldBack where it cannot be said what one covers."""
    for hold, index in active_holds(store).items():
        scope = vault.values(index).get("scope")
        if not scope:
            raise HeldBack(f"it cannot be read any more what hold {hold} covers, so nothing may go; release it first")
        yield hold, {index, *store.search(scoped(scope))}


def _held_by_name(store: LogStore, vault: Vault, subject: str) -> str | None:
    """A hold on the person counts also for records that are still to come."""
    for hold, index in active_holds(store).items():
        if vault.values(index).get("scope", {}).get("subject") == subject:
            return hold
    return None


def _held_beside(store: LogStore, vault: Vault, touches: dict[str, Any]) -> str | None:
    """A hold on an app or a tenant covers as well what is kept of it beside the log, whoever it is about."""
    for hold, index in active_holds(store).items():
        scope = vault.values(index).get("scope", {})
        if any(scope.get(member) in touches.get(member, ()) for member in ("app", "tenant") if scope.get(member)):
            return hold
    return None


def _exported_since(store: LogStore, emptied: list[int]) -> str:
    """The records of exports made since the first of some records, as ranges: their packages may hold them."""
    since = min(emptied, default=0)
    found = [index for index in store.search(Filter(kind="export"), newest_first=False) if index > since]
    return ",".join(ranges_text(found))


def _expired(store: LogStore, classes: tuple[Any, ...], now: str) -> Iterator[int]:
    for number, keeping in enumerate(classes):
        for index, kind, tenant in store.expired(keeping.kind, keeping.tenant, cut_off(now, keeping.keep)):
            if kind not in CUSTODY and not any(earlier.fits(kind, tenant) for earlier in classes[:number]):
                yield index


def _minimum(store: LogStore, leaves: str, now: str, held: set[int]) -> int:
    """Where the log may begin; 0 where nothing more can go."""
    if not leaves:
        return 0
    first = min([store.first_to_keep(cut_off(now, leaves)), *held])
    minimum = first // TILE_WIDTH * TILE_WIDTH
    return minimum if minimum > store.minimum() else 0


def _emptying(
    kind: str, wanted: dict[str, Any], public: dict[str, Any], emptied: list[int], index: int, *, subject: str = ""
) -> Amendment:
    """One record for each text of ranges; the key goes with the last."""
    entries, changes = [], []
    texts = ranges_text(emptied) or [""]
    position = 0
    for number, text in enumerate(texts):
        count = len(indexes_of(text))
        said = {**public, "indexes": text, "records": count}
        is_last = number == len(texts) - 1
        sealed = {"reason": wanted["reason"]} if wanted.get("reason") else {}
        entries.append(Entry(kind, wanted["time"], said, sealed))
        part = tuple(emptied[position : position + count])
        position += count
        changes.append(Change(index + number, part, subject if is_last else ""))
    return Amendment(entries, changes)


def _cutting(store: LogStore, time: str, public: dict[str, Any], index: int) -> Amendment:
    """The leaves below `public["minimum"]` go; what is recorded keeps exports and keys of earlier times verifiable."""
    minimum = public["minimum"]
    leaves = (json.loads(store.leaf(at) or b"{}") for at in store.custody("key_rotation") if at < minimum)
    entries = [Entry("key_rotation", time, leaf["public"], {}) for leaf in leaves]
    said = [
        {**public, "indexes": "", "records": 0, "sequences": part} for part in in_parts(store.sequences_below(minimum))
    ]
    entries += [Entry("prune", time, one, {}) for one in said]
    return Amendment(entries, [Change(index + len(entries) - 1, minimum=minimum)])
