"""Facts `secrets` and `pii`: every value of the request looked at, deterministic and linear in its size.

The analyzer itself is `governance.enrich.pii`. This is the tier that stands on the request path. It does not find names in
free text. Where its work is bounded off, or a document cannot be read, it raises: the line then has the fact
`unavailable: pii`, and a rule says what that means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.documents.leaves import Leaf, json_of, leaves_in_text, leaves_of
from governance.enrich.pii.analyze import SECRET_ENTITIES, Finding, analyze
from governance.enrich.pii.checksums import IBAN_LENGTHS, is_iban, luhn_digits
from governance.enrich.pii.policy import ScanPolicy
from governance.errors import DependencyError
from governance.model.pointer import to_pointer, to_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.enrich.presidio_worker import DeepScanner
    from governance.model.request import Json, Request

_DATA_KINDS = frozenset({"data_flow", "connector_call", "app_call", "app_answer"})
# Kinds whose `content_type` says what their document is, and the member that holds it.
_STATED = {"data_flow": "payload", "app_answer": "body"}
_PLAIN_TYPES = frozenset({"", "application/json", "text/plain"})
_DEFAULT = ScanPolicy()
_SHORTEST_DEEP = 3
_SHORTEST_TELLING_NAME, _SHORTEST_NUMBER = 15, 7
_WHO = ("id", "actor")


class ScanFacts:
    """Facts `secrets` and `pii`."""

    name = "pii"

    def __init__(self, policy: Callable[[], ScanPolicy] = lambda: _DEFAULT, deep: DeepScanner | None = None) -> None:
        """`policy`: asked once a request, so that a new bundle takes effect with the next one.

        `deep`: for the kinds of request whose texts the policy also sends to the deep scan.
        """
        self._policy = policy
        self._deep = deep

    def facts(self, request: Request) -> dict[str, Json]:
        """`[{pointer, entity, score, reason, …}]` each, in the order of the document; see `model/facts.py` for the members."""
        leaves = _leaves_of_request(request)
        pii: list[Json] = []
        secrets: list[Json] = []
        policy = self._policy()
        findings = analyze(leaves, policy, hints=request.kind in _DATA_KINDS)
        if request.kind in policy.deep_kinds:
            findings = with_deep(findings, leaves, policy, self._deep)
        for finding in findings:
            (secrets if finding.is_secret else pii).append(_fact(finding, leaves[finding.leaf]))
        return {"pii": pii, "secrets": secrets}


def findings_beside(request: Request, policy: ScanPolicy = _DEFAULT) -> tuple[str, ...]:
    """Values beside the resource that are secrets or personal data: in action, tenant, context and claims about the subject.

    Facts name places in the resource, and rules read those; this is for the record. What an update replaces is left out: the
    record never holds it. Who asks is no finding: a record says who did.
    """
    subject = {name: value for name, value in request.subject.items() if name not in _WHO}
    context = {name: value for name, value in request.context.items() if name != "old_object"}
    beside = {"action": request.action, "tenant": request.tenant, "context": context, "subject": subject}
    leaves = list(leaves_of(beside, names=True))
    found = {leaves[finding.leaf].text for finding in analyze(leaves, policy, hints=False)}
    return tuple(found - {str(request.subject.get(name)) for name in _WHO})


def without_findings(text: str) -> str:
    """A text of ours that may quote somebody's, each finding replaced by what it is; nothing of it where there are too many."""
    try:
        found = analyze([Leaf((), "", text)], _DEFAULT, hints=False)
    except DependencyError:
        return "[not scanned]"
    for value, entity in {(text[finding.start : finding.end], finding.entity) for finding in found}:
        text = text.replace(value, f"[{entity}]") if value else text
    return text


def masked_texts(value: Json) -> Json:
    """JSON with every text as `without_findings` leaves it: what a record says that no request's findings cover."""
    if isinstance(value, str):
        return without_findings(value)
    if isinstance(value, dict):
        return {without_findings(name): masked_texts(item) for name, item in value.items()}
    return [masked_texts(item) for item in value] if isinstance(value, list) else value


def shown(pointer: str) -> str:
    """A pointer as it may be printed: what the names on it hold of personal data and secrets is replaced by what it is."""
    return to_pointer(s if _is_harmless(s) else without_findings(s) for s in to_segments(pointer))


def _is_harmless(name: str) -> bool:
    """Whether a name is too short to hold anything, as most are: nothing but letters, or the number of an item."""
    return (name.isalpha() and len(name) < _SHORTEST_TELLING_NAME) or (name.isdigit() and len(name) < _SHORTEST_NUMBER)


def with_deep(
    findings: list[Finding], leaves: list[Leaf], policy: ScanPolicy, deep: DeepScanner | None
) -> list[Finding]:
    """`findings` and what the deep scan finds beside them. Raises DependencyError where it gives no answer."""
    if deep is None:
        raise DependencyError("a deep scan is asked for, and there is none here", hint="start the service with one")
    texts = [number for number, leaf in enumerate(leaves) if len(leaf.text) >= _SHORTEST_DEEP]
    known = {(f.leaf, f.entity) for f in findings}
    more = [
        Finding(texts[f.text], f.entity, f.score, "deep", (), f.start, f.end)
        for f in deep.scan([leaves[number].text for number in texts], policy)
        if (texts[f.text], f.entity) not in known
    ]
    return sorted([*findings, *more], key=lambda f: (f.leaf, f.start, f.end, f.entity))


def _leaves_of_request(request: Request) -> list[Leaf]:
    """The resource's leaves; a text that is said to be a document of some format, as that document's leaves."""
    leaves = list(leaves_of(request.resource, names=True))
    if request.kind not in _DATA_KINDS:
        return leaves
    member, content_type = _document_of(request)
    if content_type in _PLAIN_TYPES or not isinstance(request.resource.get(member), str):
        return leaves
    text = request.resource[member]
    place = next(i for i, leaf in enumerate(leaves) if leaf.path == (member,) and leaf.member < 0)
    return [*leaves[:place], *leaves_in_text(text, content_type, (member,)), *leaves[place + 1 :]]


def _document_of(request: Request) -> tuple[str, str]:
    """Which member holds a document, and of what type it is."""
    if request.kind in _STATED:
        return _STATED[request.kind], _media_type(request.resource.get("content_type"))
    headers = request.resource.get("headers")
    found = ""
    if isinstance(headers, dict):
        found = next((v for k, v in headers.items() if k.lower() == "content-type" and isinstance(v, str)), "")
    return "body", _media_type(found)


def _media_type(stated: Json) -> str:
    return stated.partition(";")[0].strip().lower() if isinstance(stated, str) else ""


def _fact(finding: Finding, leaf: Leaf) -> Json:
    fact: dict[str, Json] = {
        "pointer": to_pointer(leaf.path),
        "entity": finding.entity,
        "score": finding.score,
        "reason": finding.reason,
    }
    if leaf.member >= 0:
        # The name itself is what must not leave, so the finding points at the object that has it.
        return {**fact, "member": leaf.member, "entity": "SECRET_IN_NAME" if finding.is_secret else "MEMBER_NAME"}
    if finding.decode:
        fact["decode"] = list(finding.decode)
    span = span_in(finding, leaf)
    if span is not None:
        fact["span"] = list(span)
    if leaf.within:
        fact["within"] = to_pointer(leaf.within)
    return fact


def span_in(finding: Finding, leaf: Leaf) -> tuple[int, int] | None:
    """Where the finding stands in the text at the leaf's path; None where it is the whole of it."""
    if leaf.span is None:
        return None if (finding.start, finding.end) == (0, len(leaf.text)) else (finding.start, finding.end)
    if not leaf.is_exact:
        return leaf.span
    return leaf.span[0] + finding.start, leaf.span[0] + finding.end


class DocumentFinding(NamedTuple):
    """One finding in a document of any format."""

    pointer: str
    """JSON pointer into the document; for CSV `/row/column`, for XML `/name/place/…`, empty for plain text."""
    entity: str
    score: float
    reason: str
    decode: tuple[str, ...]
    span: tuple[int, int] | None
    """Characters of the document, or of the JSON value at `pointer`; None for the whole JSON value."""
    line: int
    """From 1 in a text document; 0 in JSON, whose lines only its own reader knows."""
    is_secret: bool


def scan_document(
    data: bytes, content_type: str, policy: ScanPolicy = _DEFAULT, deep: DeepScanner | None = None
) -> list[DocumentFinding]:
    """Every finding in a document, names of members as hints included; with `deep` also what Presidio finds.

    Raises NotReadable for what cannot be looked into, WorkExceeded for what takes too much work: neither is "clean".
    """
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    leaves, is_json = _leaves_of_document(text, content_type)
    findings = analyze(leaves, policy, hints=True)
    if deep is not None:
        findings = with_deep(findings, leaves, policy, deep)
    return [_document_finding(f, leaves[f.leaf], "" if is_json else text) for f in findings]


def _leaves_of_document(text: str, content_type: str) -> tuple[list[Leaf], bool]:
    media_type = _media_type(content_type)
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return list(leaves_of(json_of(text), names=True)), True
        except (ValueError, RecursionError):
            return leaves_in_text(text, "text/plain"), False
    return leaves_in_text(text, media_type or "text/plain"), False


def _document_finding(finding: Finding, leaf: Leaf, text: str) -> DocumentFinding:
    span = span_in(finding, leaf)
    line = text.count("\n", 0, span[0]) + 1 if span is not None and text else 0
    pointer = to_pointer((*leaf.path, *leaf.within))
    return DocumentFinding(
        pointer, finding.entity, finding.score, finding.reason, finding.decode, span, line, finding.is_secret
    )


def found_in(name: str, text: str, *, hints: bool) -> Iterator[tuple[str, float]]:
    """(entity, score) for one value under the member `name`; `hints`: whether a personal name alone is a finding."""
    seen: set[str] = set()
    for finding in analyze([Leaf((name,) if name else (), name, text)], _DEFAULT, hints=hints):
        if finding.entity not in seen:
            seen.add(finding.entity)
            yield finding.entity, finding.score


def in_names(value: Json) -> Iterator[tuple[tuple[str | int, ...], int, str, float]]:
    """(path of the object, which of its members, entity, score) for names of members that a pattern finds something in."""
    names = [leaf for leaf in leaves_of(value, names=True) if leaf.member >= 0]
    for finding in analyze(names, _DEFAULT, hints=False):
        leaf = names[finding.leaf]
        yield leaf.path, leaf.member, finding.entity, finding.score


def leaves(value: Json) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(path, nearest member name, text) of every text and number."""
    return ((leaf.path, leaf.name, leaf.text) for leaf in leaves_of(value))


def luhn(text: str) -> bool:
    """Whether the digits of `text` have a valid Luhn check digit (ISO/IEC 7812-1, annex B)."""
    digits = "".join(char for char in text if char.isdigit())
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn_digits(digits)


def iban(text: str) -> bool:
    """Whether `text` starts with an IBAN: of its country's length, with valid check digits (ISO 13616, mod 97)."""
    plain = "".join(char for char in text if char not in " \t\n-").upper()
    return is_iban(plain[: IBAN_LENGTHS.get(plain[:2], 0)])


def is_secret_entity(entity: str) -> bool:
    """Whether findings of this name are credentials rather than personal data."""
    return entity in SECRET_ENTITIES
