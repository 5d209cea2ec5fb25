"""Dates of birth: a date near a word that says birth, in the orders and languages in which people write one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.pii.matching import Hit, matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher, Surface

_BIRTH_WORD = (
    rb"(?i)birth|\bborn\b|\bdob\b|d\.o\.b|\bb-?day\b|\bgeb(?:\.|oren|oorte|urts)|naissance|\bn\xe9e? |nacimiento|nacid[oa]"
    rb"|nascimento|nascid[oa]|\bnasceu|\bnaci\xf3|\bnat[oa] (?:a [A-Za-z]{2,20} )?il|nascita|urodz|\bur\. |f\xf6delse|f\xf6dd"
    rb"|f\xf8dsel|f\xf8dt|synty[mn]|dogum tarih|dogum gun|narozen|sz\xfclet|nascut|nastere|rojstva|rodjen|roden|\bnarodila?"
    rb"|tanggal lahir|\blahir\b|ngay sinh|sinh ngay|\bf\. ?nac\b|\bfec\.? ?nac"
)
FORMS = (_BIRTH_WORD,)
_SEP = r"[-/.,_ ]{1,3}"
_MONTH = r"[^\W\d_]{3,12}\.?"
# Year first, year last, eight digits either way, a month by its name: what people write as a date, with or without a zero.
_DATE = re.compile(
    r"\d{4}[-/. ]{1,2}\d{1,2}[-/. ]{1,2}\d{1,2}(?!\d)|\d{1,2}[-/. ]{1,2}\d{1,2}[-/. ]{1,2}(?:\d{4}|\d{2})(?!\d)"
    r"|(?<!\d)(?:(?:19|20)\d{6}|\d{4}(?:19|20)\d\d)(?!\d)|\d{4}\xaa\d{1,2}\xaa\d{1,2}\xaa"
    r"|\d{4}\. ?\d{1,2}\. ?\d{1,2}|\d{4}\xaa \d{1,2}\xaa \d{1,2}\xaa"
    r"|\d{1,2}(?:st|nd|rd|th|er|\xba)?(?:"
    + _SEP
    + r")?(?:of |de |d')?"
    + _MONTH
    + r",?"
    + _SEP
    + r"(?:de |del )?(?:\d{4}|\d{2})(?!\d)"
    r"|"
    + _MONTH
    + _SEP
    + r"\d{1,2}(?:st|nd|rd|th)?"
    + _SEP
    + r"\d{4}(?!\d)|\d{4}"
    + _SEP
    + _MONTH
    + _SEP
    + r"\d{1,2}(?!\d)"
)
# Birth, but not when.
_OTHER_BIRTH = re.compile(r"(?i)[ _-]?(?:place|rate|weight|right|stone|mark|control|name|order|city|country|town)")
# What may stand between a date and the word behind it that says whose it is: `1980-02-01 (DOB)`, `… is her date of birth`.
_IS = re.compile(r"(?i)[ ,]{0,2}(?:(?:is|was) (?:my|his|her|their|the) |[(\[])(?:date of )?$")


_LONGEST_IS = 20


@lru_cache(maxsize=1)
def _word() -> Matcher:
    return matcher(_BIRTH_WORD)


def birth_dates(surface: Surface) -> Iterator[Hit]:
    """Dates behind a word that says birth."""
    for found in _word().finditer(surface.data):
        surface.work.spend(150)
        behind = surface.text(found.end(), found.end() + 60).partition("\x1e")[0]
        if _OTHER_BIRTH.match(behind):
            continue
        date = _DATE.search(behind)
        if date is not None and date.start() <= 40:
            yield Hit(found.end() + date.start(), found.end() + date.end(), "BIRTH_DATE", 0.8, "context")
        else:
            yield from _dates_before(surface, found.start())


def _dates_before(surface: Surface, place: int) -> Iterator[Hit]:
    """A date that the word at `place` is said of afterwards."""
    before = surface.before(place, 60).decode("latin-1")
    said = _IS.search(before, len(before) - _LONGEST_IS)
    if said is None:
        return
    surface.work.spend(60)
    for date in _DATE.finditer(before):
        if date.end() == said.start():
            start = place - len(before) + date.start()
            yield Hit(start, start + len(date[0]), "BIRTH_DATE", 0.8, "context")


def is_date(text: str) -> bool:
    """Whether a whole value is a date, time of day allowed."""
    return _DATE.match(text.strip()) is not None
