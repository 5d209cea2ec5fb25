"""JSON pointers (RFC 6901) and the one mapping from the policy's view of a request to the document as handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def to_pointer(segments: Iterable[str | int]) -> str:
    """Segments to a pointer.

    >>> to_pointer(["spec", "a/b", 0])
    '/spec/a~1b/0'
    """
    return "".join("/" + str(segment).replace("~", "~0").replace("/", "~1") for segment in segments)


def to_segments(pointer: str) -> list[str]:
    """Pointer to segments; raises ValueError for text that is no pointer.

    >>> to_segments("/spec/a~1b/0")
    ['spec', 'a/b', '0']
    """
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON pointer: it must be empty or start with '/'")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def resource_pointer(kind: str, segments: Sequence[str | int]) -> str:
    """Where a rule's path (segments into `input`) lies in the resource.

    In a manifest `app/…` is `/spec/…` and `app/name` is `/metadata/name`; `resource/…` is the resource itself. What is
    not in the resource (tenant, subject, facts; the app of a call) has the empty pointer: the whole of it.
    """
    if not segments:
        return ""
    root, rest = segments[0], list(segments[1:])
    if root == "resource":
        return to_pointer(rest)
    if root == "app" and kind in {"template", "deploy"}:
        if rest and rest[0] == "name":
            return to_pointer(["metadata", *rest])
        return to_pointer(["spec", *rest])
    if root == "tenant" and kind in {"template", "deploy"}:
        return "/spec/tenant"
    return ""
