"""Values whose name stands beside them: `{"type": "ssn", "value": "…"}`, lists of `{key, value}`, `<field name="ssn">…`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.enrich.pii import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.documents.leaves import Leaf

_LONGEST_LABEL = 64
# Members that only hold a value, and those beside them that say what it is; in small letters.
_HOLDERS = frozenset({
    "value", "values", "content", "val", "data", "text", "answer", "response", "v", "wert", "valeur", "valor", "current",
    "old", "new", "oldvalue", "newvalue", "old_value", "new_value", "stringvalue", "string_value", "valuestring",
    "displayvalue", "display_value", "default", "example", "@value",
})  # fmt: skip
_LABELS = frozenset({
    "type", "name", "key", "kind", "field", "label", "attribute", "question", "column", "property", "k", "fieldname",
    "field_name", "title", "code", "system", "id", "param", "parameter", "header", "tag", "feld", "champ", "campo", "@name",
    "@type", "@key", "@id", "@field", "@label",
})  # fmt: skip


def named(leaves: Sequence[Leaf]) -> Sequence[Leaf]:
    """The same leaves, a value that only has a holder's name under the name that a member beside it gives."""
    said: dict[tuple[object, ...], str] = {}
    for leaf in leaves:
        if leaf.member < 0 and _own(leaf).lower() in _LABELS and _tells(leaf.text):
            said.setdefault(_above(leaf), leaf.text)
    return [_renamed(leaf, said) for leaf in leaves] if said else leaves


def _tells(text: str) -> bool:
    """Whether a text, taken for a name, says that something personal or secret stands under it."""
    if not 0 < len(text) <= _LONGEST_LABEL:
        return False
    meaning = names.meaning(text)
    return meaning.entity is not None or meaning.is_secret


def _renamed(leaf: Leaf, said: dict[tuple[object, ...], str]) -> Leaf:
    if leaf.member >= 0:
        return leaf
    label = said.get(_above(leaf)) if _own(leaf).lower() in _HOLDERS else None
    if label is None and len(leaf.within) > 1:
        label = said.get((leaf.path, leaf.within))  # the text of an element under the name that its attribute gives
    if label is None and leaf.name.lower() in _HOLDERS and _own(leaf) == "" and len(leaf.path) > 1:
        label = said.get((leaf.path[:-2], ()))  # `"values": ["…", "…"]`
    return leaf if label is None else leaf._replace(name=label)


def _place(leaf: Leaf) -> tuple[str | int, ...]:
    return leaf.within or leaf.path


def _own(leaf: Leaf) -> str:
    """The name that a value itself has; empty for an item of a list, and for the text of an element."""
    last = _place(leaf)[-1:]
    return last[0] if last and isinstance(last[0], str) else ""


def _above(leaf: Leaf) -> tuple[object, ...]:
    return (leaf.path, leaf.within[:-1]) if leaf.within else (leaf.path[:-1], ())
