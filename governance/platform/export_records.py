"""What the log says about an export: who took which records out, with which openings, at which size of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.enrich.scan import masked_texts

if TYPE_CHECKING:
    from audit.exports.package import Wanted
    from audit.record import Entry
    from governance.model.request import Json

# Whom or what somebody looked for is sealed, under the key of the person it may be about.
_SEALED = ("subject", "text")


def entry_of_export(wanted: Wanted, export: str, *, actor: str, entry_point: str, size: int) -> Entry:
    """The record of an export, before there is one; `size` is that of the log when it was asked for."""
    from audit.record import Entry
    from governance.model.moment import new_decision_id, utc_now

    public = _public_part(wanted, actor=actor, entry_point=entry_point, size=size)
    public |= {"decision_id": new_decision_id(), **({"export": export} if export else {})}
    sealed = {name: getattr(wanted.filter, name) for name in _SEALED if getattr(wanted.filter, name)}
    return Entry("export", utc_now(), public, sealed, wanted.filter.subject)


def _public_part(wanted: Wanted, *, actor: str, entry_point: str, size: int) -> dict[str, Json]:
    narrowed = masked_texts({name: value for name, value in wanted.filter.said().items() if name not in _SEALED})
    narrowed |= {name: "given" for name in _SEALED if getattr(wanted.filter, name)}
    return {
        "app": narrowed.get("app", ""),
        "tenant": narrowed.get("tenant", ""),
        "actor": actor,
        "entry_point": entry_point,
        "effect": "allow",
        "rules": [],
        "filter": narrowed,
        "formats": list(wanted.formats),
        "openings": "all" if wanted.fields is None else list(wanted.fields),
        "size": size,
    }
