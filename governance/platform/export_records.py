"""What the log says about an export: who took which records out, with which openings, at which size of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.exports.package import Wanted
    from governance.model.request import Json


_PRIVATE = ("subject", "text")


def private_part(wanted: Wanted) -> dict[str, Json]:
    """What of the question may name a person: sealed under that person's key, since a leaf cannot be taken back."""
    said = wanted.filter._asdict()
    return {name: said[name] for name in _PRIVATE if said[name]}


def public_part(wanted: Wanted, *, actor: str, entry_point: str, size: int) -> dict[str, Json]:
    """The public members of an `export` record, but for its id; `size` is that of the log when it was asked for."""
    said = {name: value for name, value in wanted.filter._asdict().items() if value}
    narrowed = {name: "given" if name in _PRIVATE else value for name, value in said.items()}
    return {
        "app": wanted.filter.app,
        "tenant": wanted.filter.tenant,
        "actor": actor,
        "entry_point": entry_point,
        "effect": "allow",
        "rules": [],
        "filter": narrowed,
        "formats": list(wanted.formats),
        "openings": "all" if wanted.fields is None else list(wanted.fields),
        "size": size,
    }
