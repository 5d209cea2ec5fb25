"""Facts `secrets` and `pii`: a first look at every value of the request, deterministic and linear in its size.

Patterns have no nested repetition, so no input makes them slow. One cheap search over the whole text decides whether the
values are looked at one by one at all. What has a checksum is checked. This is the tier that stands on the request path;
it does not find names in free text, and says nothing about what it does not know.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.model.request import Json, Request


class Pattern(NamedTuple):
    """One thing to look for."""

    entity: str
    expression: re.Pattern[str]
    score: float
    confirms: Callable[[str], bool] | None = None
    """A checksum or the like; None where the form alone says it."""


def luhn(text: str) -> bool:
    """Whether the digits of `text` have a valid Luhn check digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


# Total length by country, from the IBAN registry; a country that is not listed has no IBAN here.
_IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FR": 27,
    "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
}  # fmt: skip


def iban(text: str) -> bool:
    """Whether `text` starts with an IBAN: of its country's length, with valid check digits (ISO 13616, mod 97).

    What stands behind it may be the next word: the pattern cannot tell it from a group of the number.
    """
    plain = re.sub(r"[\s-]", "", text).upper()
    length = _IBAN_LENGTHS.get(plain[:2], 0)
    plain = plain[:length]
    if not length or len(plain) < length:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def us_ssn(text: str) -> bool:
    """Whether the groups are ones that were ever issued (SSA, "Social Security Number Randomization")."""
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and not area.startswith("9") and group != "00" and serial != "0000"


_PII: tuple[Pattern, ...] = (
    Pattern("EMAIL_ADDRESS", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), 0.95),
    Pattern("CREDIT_CARD", re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"), 1.0, luhn),
    Pattern("IBAN_CODE", re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?!\w)"), 1.0, iban),
    Pattern("US_SSN", re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)"), 0.85, us_ssn),
    Pattern("PHONE_NUMBER", re.compile(r"(?<![\w+])(?:\+|00)[1-9]\d{0,2}(?:[ ./()-]{0,2}\d){6,12}(?!\d)"), 0.75),
)

# Prefixes are public facts of each vendor's key format; the rest is length and alphabet.
_SECRETS: tuple[Pattern, ...] = (
    Pattern("PRIVATE_KEY", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"), 1.0),
    Pattern("AWS_ACCESS_KEY", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"), 1.0),
    Pattern("GITHUB_TOKEN", re.compile(r"(?<!\w)(?:gh[pousr]_\w{36}|github_pat_\w{22,255})"), 1.0),
    Pattern("SLACK_TOKEN", re.compile(r"(?<!\w)xox[abeprs]-[A-Za-z0-9-]{10,250}"), 1.0),
    Pattern("GOOGLE_API_KEY", re.compile(r"(?<!\w)AIza[\w-]{35}"), 1.0),
    Pattern("LLM_API_KEY", re.compile(r"(?<!\w)sk-[A-Za-z0-9_-]{20,250}"), 0.95),
    Pattern("STRIPE_KEY", re.compile(r"(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}"), 1.0),
    Pattern("JWT", re.compile(r"(?<!\w)eyJ[\w-]{5,4000}\.eyJ[\w-]{2,8000}\.[\w-]{0,2000}"), 0.95),
    Pattern("URL_PASSWORD", re.compile(r"(?i)[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:[^\s/@]{1,200}@"), 0.95),
    Pattern("BEARER_TOKEN", re.compile(r"(?i)(?<!\w)bearer\s{1,3}[\w.~+/=-]{16,4000}"), 0.9),
)
_ALL = _PII + _SECRETS
_SECRET_ENTITIES = frozenset(pattern.entity for pattern in _SECRETS) | {"NAMED_SECRET"}

# Member names whose text is a credential, and those whose text is personal, whatever it looks like.
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|client[_-]?secret|private[_-]?key|token)$"
)
_PERSONAL_NAMES: dict[str, str] = {
    "birthdate": "BIRTH_DATE", "dateofbirth": "BIRTH_DATE", "dob": "BIRTH_DATE", "geburtsdatum": "BIRTH_DATE",
    "phone": "PHONE_NUMBER", "phonenumber": "PHONE_NUMBER", "mobile": "PHONE_NUMBER", "telefon": "PHONE_NUMBER",
    "firstname": "PERSON_NAME", "lastname": "PERSON_NAME", "fullname": "PERSON_NAME", "familyname": "PERSON_NAME",
    "givenname": "PERSON_NAME", "surname": "PERSON_NAME", "nachname": "PERSON_NAME", "vorname": "PERSON_NAME",
    "employeename": "PERSON_NAME", "employeeid": "EMPLOYEE_ID", "email": "EMAIL_ADDRESS", "homeaddress": "ADDRESS",
    "street": "ADDRESS", "ssn": "US_SSN", "passport": "NATIONAL_ID", "nationalid": "NATIONAL_ID",
}  # fmt: skip
# A plain "name" is a person's where the path says that it is about people.
_ABOUT_PEOPLE = frozenset({
    "people", "persons", "person", "employees", "employee", "users", "user", "members", "contacts", "customers", "guests",
    "attendees", "staff", "resources", "colleagues", "patients",
})  # fmt: skip
_HINT_SCORE = 0.6
_LONGEST_NAME_KEPT = 64
# A handle or reference to a secret, which is what belongs in a manifest.
_REFERENCE = re.compile(r"(?i)^(?:vault:|secret:|ref:|env:|\$\{|\{\{|arn:)")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")

# Any of these characters or words has to stand in a text that holds something the patterns could find.
_WORTH_A_LOOK = re.compile(
    r"@|-----BEGIN|\d(?:[ -]?\d){8}|AKIA|ASIA|gh[pousr]_|github_pat|xox|AIza|sk-|k_live|k_test|eyJ|(?i:bearer|://)|\d{3}-\d{2}-|\+\d|[^\x00-\x7f]"
)


class ScanFacts:
    """Facts `secrets` and `pii`."""

    name = "pii"

    def facts(self, request: Request) -> dict[str, Json]:
        """`[{pointer, entity, score}]` each, in the order of the document; findings in names of members last, with `member`."""
        pii: list[Json] = []
        secrets: list[Json] = []
        is_data = request.kind in {"data_flow", "connector_call"}
        for path, name, text in leaves(request.resource):
            hint = "fullname" if name.lower() == "name" and _is_about_people(path) else name
            for entity, score in found_in(hint, text, hints=is_data):
                finding = {"pointer": to_pointer(path), "entity": entity, "score": score}
                (secrets if entity in _SECRET_ENTITIES else pii).append(finding)
        for path, place, entity, score in in_names(request.resource):
            # The name itself is what must not leave, so the finding points at the object that has it.
            finding = {"pointer": to_pointer(path), "score": score, "member": place}
            if entity in _SECRET_ENTITIES:
                secrets.append({**finding, "entity": "SECRET_IN_NAME"})
            else:
                pii.append({**finding, "entity": "MEMBER_NAME"})
        return {"pii": pii, "secrets": secrets}


def _is_about_people(path: tuple[str | int, ...]) -> bool:
    return any(isinstance(segment, str) and segment.lower() in _ABOUT_PEOPLE for segment in path)


def found_in(name: str, text: str, *, hints: bool) -> Iterator[tuple[str, float]]:
    """(entity, score) for one value under the member `name`; `hints`: whether a personal name alone is a finding."""
    seen: set[str] = set()
    if _WORTH_A_LOOK.search(text):
        plain = _plain(text)
        for pattern in _ALL:
            if _matches(pattern, plain):
                seen.add(pattern.entity)
                yield pattern.entity, pattern.score
    if name and text and not seen:
        yield from _by_name(name, text, hints=hints)


def _matches(pattern: Pattern, text: str) -> bool:
    if pattern.confirms is None:
        return pattern.expression.search(text) is not None
    return any(pattern.confirms(match.group()) for match in pattern.expression.finditer(text))


def _by_name(name: str, text: str, *, hints: bool) -> Iterator[tuple[str, float]]:
    is_secret, entity = _meaning(name) if len(name) <= _LONGEST_NAME_KEPT else _meaning.__wrapped__(name)
    if is_secret and not _REFERENCE.match(text) and len(text) >= 6:
        yield "NAMED_SECRET", _HINT_SCORE
    if hints and entity is not None:
        yield entity, _HINT_SCORE


@lru_cache(maxsize=4096)
def _meaning(name: str) -> tuple[bool, str | None]:
    """Whether a member of this name holds a credential, and what personal data it holds."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    entity = _PERSONAL_NAMES.get(_NOT_ALPHANUMERIC.sub("", name.lower()))
    return _SECRET_NAME.search(spaced) is not None, entity


def _plain(text: str) -> str:
    """Compatibility forms made plain, format characters removed: what hides a value from a pattern, not from a reader."""
    if text.isascii():
        return text
    return "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")


def in_names(value: Json) -> Iterator[tuple[tuple[str | int, ...], int, str, float]]:
    """(path of the object, which of its members, entity, score) for names of members that a pattern finds something in."""
    todo: list[tuple[tuple[str | int, ...], Json]] = [((), value)]
    while todo:
        path, node = todo.pop()
        if isinstance(node, dict):
            for place, (key, item) in enumerate(node.items()):
                if isinstance(item, dict | list):
                    todo.append(((*path, key), item))
                if _WORTH_A_LOOK.search(key):
                    yield from ((path, place, entity, score) for entity, score in found_in("", key, hints=False))
        elif isinstance(node, list):
            todo.extend(((*path, i), item) for i, item in enumerate(node) if isinstance(item, dict | list))


def leaves(value: Json) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(path, nearest member name, text) of every text and number."""
    todo: list[tuple[tuple[str | int, ...], str, Json]] = [((), "", value)]
    while todo:
        path, name, node = todo.pop()
        if isinstance(node, dict):
            todo.extend(((*path, key), key, item) for key, item in reversed(node.items()))
        elif isinstance(node, list):
            todo.extend(((*path, i), name, item) for i, item in reversed(list(enumerate(node))))
        elif isinstance(node, str):
            yield path, name, node
        elif isinstance(node, int | float) and not isinstance(node, bool):
            yield path, name, str(node)
