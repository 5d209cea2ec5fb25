"""`units.parse` and `units.parse_bytes`: amounts with SI or binary prefixes, exact, with a bound on the exponent.

The engine's own reads an exponent of millions as some number where OPA has an error.
"""

from __future__ import annotations

import re
from fractions import Fraction

from governance.policy.builtins.operands import BuiltinError

_AMOUNT = re.compile(
    r"(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE](?P<exponent>[-+]?[0-9]+)(?![A-Za-z]*[0-9]))?)(?P<unit>.*)"
)
_LARGEST_EXPONENT = 10_000
_POWERS = "kmgtpe"


def units(text: str) -> int | float:
    """`10Ki` is 10,240; `m` is a thousandth, where `M` is a million."""
    number, unit = _split("units.parse", text)
    return _value(number * _factor("units.parse", unit if unit == "m" else unit.lower(), is_milli=unit == "m"))


def bytes_of(text: str) -> int:
    """`10KiB` is 10,240; a fraction of a byte is cut off."""
    number, unit = _split("units.parse_bytes", text)
    unit = unit.lower()
    return int(number * _factor("units.parse_bytes", unit.removesuffix("b") if unit != "b" else "", is_milli=False))


def _split(name: str, text: str) -> tuple[Fraction, str]:
    raw = text.replace('"', "")
    if " " in raw:
        raise BuiltinError(f"{name}: spaces not allowed in resource strings")
    found = _AMOUNT.fullmatch(raw)
    if found is None:
        raise BuiltinError(
            f"{name}: no amount provided"
            if not raw or raw[0].isalpha()
            else f"{name}: could not parse amount to a number"
        )
    if found["exponent"] and abs(int(found["exponent"][:9])) > _LARGEST_EXPONENT:
        raise BuiltinError(f"{name}: exponent too large")
    return Fraction(found["number"]), found["unit"]


def _factor(name: str, unit: str, *, is_milli: bool) -> Fraction:
    if is_milli:
        return Fraction(1, 1000)
    if not unit:
        return Fraction(1)
    prefix, rest = unit[0], unit[1:]
    if prefix not in _POWERS or rest not in {"", "i"}:
        raise BuiltinError(f"{name}: unit {unit[:20]} not recognized")
    return Fraction(1024 if rest else 1000) ** (_POWERS.index(prefix) + 1)


def _value(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(f"{float(number):.10g}")


BUILTINS = {"units.parse": units, "units.parse_bytes": bytes_of}
