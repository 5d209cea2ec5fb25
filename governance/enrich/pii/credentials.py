"""Credentials: the public forms of keys and tokens, and words that say what stands behind them."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii.matching import Hit, matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher, Surface

# Prefixes are public facts of each vendor's key format; the rest is length and alphabet.
_FORMS: tuple[tuple[str, bytes, float], ...] = (
    ("PRIVATE_KEY", rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[A-Z0-9]{20}", 1.0),
    ("AWS_ACCESS_KEY", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", 1.0),
    ("GITHUB_TOKEN", rb"gh[pousr]_[A-Za-z0-9_]{36}|github_pat_[A-Za-z0-9_]{22,}", 1.0),
    ("GITLAB_TOKEN", rb"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}", 1.0),
    ("SLACK_TOKEN", rb"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+", 1.0),
    ("GOOGLE_API_KEY", rb"AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}", 1.0),
    ("STRIPE_KEY", rb"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}", 1.0),
    ("LLM_API_KEY", rb"sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}", 0.95),
    ("PACKAGE_TOKEN", rb"npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{30,}|dckr_pat_[A-Za-z0-9_-]{20,}", 1.0),
    ("CLOUD_TOKEN", rb"dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|hvs\.[A-Za-z0-9_-]{24,}", 1.0),
    ("MAIL_TOKEN", rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|key-[0-9a-f]{32}", 1.0),
    ("STORAGE_KEY", rb"AccountKey=[A-Za-z0-9+/=]{40,}|sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}", 1.0),
    ("JWT", rb"ey[JK][A-Za-z0-9_-]{5,}\.ey[JK][A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*", 0.95),
    ("URL_PASSWORD", rb"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\x1e]*:[^\s/@\x1e]+@", 0.95),
    ("BEARER_TOKEN", rb"(?i:bearer)[ \t]{1,3}[A-Za-z0-9_.~+/=-]{16,}", 0.9),
)  # fmt: skip
_BASIC = rb"(?i)basic[ \t]{1,3}[A-Za-z0-9+/]{8,}={0,2}"
# What stands behind such a word and has a digit or a sign in it; a bare word there is prose.
_ASSIGNED = (
    rb"(?i)(?:password|passwd|passphrase|passwort|kennwort|contrase\xf1a|mot de passe|secret|api[ _-]?key|access[ _-]?key"
    rb"|auth[ _-]?token)"
    rb"[\"'`]?[ \t]{0,3}(?::|=|=>|:=|\bis\b)[ \t]{0,3}[\"'`]?([^\s\"'`,;&<>\x1e]{6,})"
)
_REFERENCES = (
    "vault:",
    "secret:",
    "ref:",
    "env:",
    "${",
    "{{",
    "arn:",
    "$(",
    "<",
    "***",
    "xxx",
    "process.env",
    "os.environ",
)
SECRET_ENTITIES = frozenset(entity for entity, _, _ in _FORMS) | {"NAMED_SECRET", "BASIC_CREDENTIALS"}

FORMS = (*(form for _, form, _ in _FORMS), _BASIC, _ASSIGNED)


@lru_cache(maxsize=1)
def _patterns() -> tuple[Matcher, Matcher, Matcher]:
    forms = b"|".join(b"(" + form + b")" for _, form, _ in _FORMS)
    return matcher(forms), matcher(_BASIC), matcher(_ASSIGNED)


def is_reference(text: str) -> bool:
    """Whether a value names a secret that is kept elsewhere, which is what belongs in a manifest."""
    return text.lower().startswith(_REFERENCES)


def secrets(surface: Surface) -> Iterator[Hit]:
    """Keys and tokens by their form; passwords by the word before them."""
    forms, basic, assigned = _patterns()
    for found in forms.finditer(surface.data):
        surface.work.spend(20)
        entity, _, score = _FORMS[(found.lastindex or 1) - 1]
        start = found.start()
        glued = entity not in {"PRIVATE_KEY", "URL_PASSWORD"} and _is_word(surface, start - 1)
        if not glued:
            yield Hit(start, found.end(), entity, score, "prefix")
    for found in basic.finditer(surface.data):
        surface.work.spend(20)
        if _is_basic(found.group().split()[-1]):
            yield Hit(found.start(), found.end(), "BASIC_CREDENTIALS", 0.95, "form")
    for found in assigned.finditer(surface.data):
        surface.work.spend(20)
        value = found.group(1).decode("latin-1")
        if not value.isalpha() and not is_reference(value):
            yield Hit(found.start(1), found.end(1), "NAMED_SECRET", 0.7, "context")


def _is_word(surface: Surface, place: int) -> bool:
    return surface.is_alphanumeric(place) or (place >= 0 and surface.data[place] == 0x5F)


def _is_basic(text: bytes) -> bool:
    try:
        return b":" in base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
