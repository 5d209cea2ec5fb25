"""Check digits of cards, accounts and addresses: whether a value is one, not whether it looks like one."""

from __future__ import annotations

import hashlib
from datetime import date

# (lowest prefix, highest prefix, lengths): ranges of issuer numbers (ISO/IEC 7812) as the schemes publish them.
_CARDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    (6011, 6011, (16, 17, 18, 19)), (644, 649, (16, 17, 18, 19)), (65, 65, (16, 17, 18, 19)),  # Discover
    (300, 305, (14, 16, 17, 18, 19)), (3095, 3095, (14, 16, 17, 18, 19)), (36, 36, (14, 16, 17, 18, 19)),
    (38, 39, (14, 16, 17, 18, 19)),  # Diners Club
    (35, 35, (16, 17, 18, 19)), (1800, 1800, (15,)), (2131, 2131, (15,)),  # JCB
    (62, 62, (16, 17, 18, 19)), (81, 81, (16, 17, 18, 19)),  # UnionPay
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (5018, 5018, (12, 13, 14, 15, 16, 17, 18, 19)), (5020, 5020, (12, 13, 14, 15, 16, 17, 18, 19)),
    (5038, 5038, (12, 13, 14, 15, 16, 17, 18, 19)), (5893, 5893, (12, 13, 14, 15, 16, 17, 18, 19)),
    (6304, 6304, (12, 13, 14, 15, 16, 17, 18, 19)), (6759, 6763, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (5019, 5019, (16,)), (4571, 4571, (16,)),  # Dankort
    (508, 508, (16,)), (60, 60, (16,)), (82, 82, (16,)),  # RuPay
    (506, 509, (16, 18, 19)), (650, 650, (16, 18, 19)),  # Verve, Elo
    (9792, 9792, (16,)),  # Troy
    (1, 1, (15,)),  # UATP
)  # fmt: skip


def _lengths_by_prefix() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for low, high, lengths in _CARDS:
        for prefix in range(low, high + 1):
            found.setdefault(str(prefix), set()).update(lengths)
    return {prefix: frozenset(lengths) for prefix, lengths in found.items()}


SHORTEST_CARD = 12
_LENGTHS = _lengths_by_prefix()
_DOUBLED = str.maketrans("0123456789", "0246813579")


def luhn_digits(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """Sum of the digits, each times the weight of its place."""
    total = 0
    for digit, weight in zip(digits, weights, strict=False):
        total += int(digit) * weight
    return total


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there was, or will be, such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


_D5 = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Whether the last digit is Verhoeff's check digit of the others."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_D5[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def is_card(digits: str) -> bool:
    """Whether `digits` (nothing else in it) is a card number: a known issuer range, of its length, with its check digit."""
    length = len(digits)
    if not SHORTEST_CARD <= length <= 19 or digits.count(digits[0]) == length:
        return False
    known = any(length in _LENGTHS.get(digits[:size], ()) for size in (1, 2, 3, 4))
    return known and luhn_digits(digits)


def is_gtin(digits: str) -> bool:
    """Whether the last digit is the check digit of an article number (GS1 General Specifications, 7.9)."""
    total = sum(map(int, digits[-1::-2])) + 3 * sum(map(int, digits[-2::-2]))
    return total % 10 == 0


# Total length by country, from the IBAN registry (SWIFT, release 99).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
LONGEST_IBAN = 34


def is_iban(plain: str) -> bool:
    """Whether `plain` (upper case, no separators) is exactly one IBAN (ISO 13616, mod 97)."""
    if len(plain) != IBAN_LENGTHS.get(plain[:2]) or not plain.isalnum() or not plain.isascii():
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def is_base58_address(text: str) -> bool:
    """Whether `text` is a Bitcoin address of the older form: 21 bytes and the first four of their double SHA-256."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    try:
        raw = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def is_bech32_address(text: str) -> bool:
    """Whether `text` (one case) is a segregated-witness address (BIP 173, BIP 350)."""
    prefix, _, data = text.lower().rpartition("1")
    if not prefix or any(char not in _BECH32 for char in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place in range(5):
            check ^= _GENERATOR[place] if (top >> place) & 1 else 0
    return check in {1, 0x2BC830A3}


def mrz_digit(field: str) -> str:
    """The check digit of a machine readable field (ICAO Doc 9303-3, 4.9)."""
    total = 0
    for place, char in enumerate(field):
        value = 0 if char == "<" else int(char, 36)
        total += value * (7, 3, 1)[place % 3]
    return str(total % 10)


def is_mrz_line(line: str) -> bool:
    """Whether `line` is the one of a travel document that holds the birth date and expiry, with their check digits."""
    if len(line) in {36, 44}:
        places: tuple[tuple[int, int], ...] = ((0, 9), (13, 19), (21, 27))
    elif len(line) == 30:
        places = ((0, 6), (8, 14))
    else:
        return False
    return all(line[end] == mrz_digit(line[start:end]) for start, end in places) and any(c.isdigit() for c in line)
