"""Rules of national identifiers, second part; `national_ids` has the first, and the table. Values come without separators."""

from __future__ import annotations

from governance.enrich.pii.checksums import is_date, luhn_digits, verhoeff, weighted


def au_tfn(d: str) -> bool:
    """Tax file number: weights by place, modulus 11 (ATO)."""
    return len(d) == 9 and len(set(d)) > 1 and weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_medicare(d: str) -> bool:
    """Ten digits from 2 to 6, the ninth computed from the eight before it (Services Australia)."""
    return len(d) == 10 and d[0] in "23456" and weighted(d, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(d[8])


def ca_sin(d: str) -> bool:
    """Nine digits, Luhn; 0 and 8 are given to nobody."""
    return len(d) == 9 and d[0] not in "08" and len(set(d)) > 1 and luhn_digits(d)


def kr_dated(d: str) -> bool:
    """Birth date, then a digit for sex and century: what identifiers given out since October 2020 still have."""
    century = {"1": 1900, "2": 1900, "3": 2000, "4": 2000, "5": 1900, "6": 1900, "7": 2000, "8": 2000}.get(d[6:7])
    return len(d) == 13 and century is not None and is_date(century + int(d[:2]), int(d[2:4]), int(d[4:6]))


def kr_rrn(d: str) -> bool:
    """The same with the check digit of those given out before (weights 2 to 9 and 2 to 5, modulus 11)."""
    return kr_dated(d) and (11 - weighted(d, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(d[12])


def th_tnin(d: str) -> bool:
    """Thirteen digits, the first 1 to 8, weights 13 to 2, modulus 11."""
    if len(d) != 13 or d[0] in "09" or d[1] == "0":
        return False
    return (11 - weighted(d, tuple(range(13, 1, -1))) % 11) % 10 == int(d[12])


def tr_national(d: str) -> bool:
    """Two check digits: of the odd and even places, and of all ten before (Turkey, population office)."""
    if len(d) != 11 or d[0] == "0":
        return False
    numbers = [int(char) for char in d]
    tenth = (7 * sum(numbers[0:9:2]) - sum(numbers[1:8:2])) % 10
    return tenth == numbers[9] and sum(numbers[:10]) % 10 == numbers[10]


def za_id(d: str) -> bool:
    """Birth date, sequence, citizenship 0 to 2, Luhn."""
    return len(d) == 13 and d[10] in "012" and _is_short_date(d[:2], d[2:4], d[4:6]) and luhn_digits(d)


def _is_short_date(year: str, month: str, day: str) -> bool:
    return any(is_date(century + int(year), int(month), int(day)) for century in (1900, 2000))


def ng_nin(d: str) -> bool:
    """Eleven digits, Verhoeff's check digit."""
    return len(d) == 11 and len(set(d)) > 2 and verhoeff(d)


def no_fnr(d: str) -> bool:
    """Birth date (a D-number adds 40 to the day), two check digits modulo 11 (Skatteetaten)."""
    if len(d) != 11:
        return False
    day = int(d[:2])
    first = (11 - weighted(d, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11) % 11
    second = (11 - weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    is_born = _is_short_date(d[4:6], d[2:4], str(day - 40 if day > 40 else day))
    return is_born and d[9:] == f"{first}{second}"


def dk_cpr(d: str) -> bool:
    """Birth date and four digits; the modulus 11 is no longer kept to (CPR-kontoret, since 2007)."""
    return len(d) == 10 and _is_short_date(d[4:6], d[2:4], d[:2]) and d[6:] != "0000"


def pt_nif(d: str) -> bool:
    """Nine digits, the first 1, 2, 3, 5, 6, 8 or 9, weights 9 to 2, modulus 11."""
    check = 11 - weighted(d, (9, 8, 7, 6, 5, 4, 3, 2)) % 11 if len(d) == 9 else -1
    return len(d) == 9 and d[0] not in "047" and int(d[8]) == (0 if check > 9 else check)


def ro_cnp(d: str) -> bool:
    """Sex and century, birth date, county, weights 279146358279, modulus 11."""
    if len(d) != 13 or d[0] not in "12345678" or not _is_short_date(d[1:3], d[3:5], d[5:7]):
        return False
    check = weighted(d, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return int(d[12]) == (1 if check == 10 else check)


def ee_id(d: str) -> bool:
    """Estonia, and Lithuania the same: sex and century, birth date, two rounds of modulus 11."""
    if len(d) != 11 or d[0] not in "123456" or not _is_short_date(d[1:3], d[3:5], d[5:7]):
        return False
    check = weighted(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return int(d[10]) == check


def cz_rodne(d: str) -> bool:
    """Birth date (women add 50 to the month, 20 more where a day ran out); the first nine modulus 11, 0 for ten."""
    if len(d) != 10 or int(d[:9]) % 11 % 10 != int(d[9]):
        return False
    month = int(d[2:4]) % 50
    return _is_short_date(d[:2], str(month - 20 if month > 20 else month), d[4:6])


def at_svnr(d: str) -> bool:
    """Number, check digit, birth date; weights 3,7,9 and 5,8,4,2,1,6, modulus 11."""
    if len(d) != 10 or d[0] == "0" or not _is_short_date(d[8:], d[6:8], d[4:6]):
        return False
    return weighted(d[:3] + d[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(d[3])


def bg_egn(d: str) -> bool:
    """Birth date (20 or 40 added to the month for other centuries), weights 2,4,8,5,10,9,7,3,6, modulus 11."""
    if len(d) != 10 or not _is_short_date(d[:2], str(int(d[2:4]) % 20), d[4:6]):
        return False
    return weighted(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(d[9])


def gr_amka(d: str) -> bool:
    """Birth date, sequence, Luhn."""
    return len(d) == 11 and _is_short_date(d[4:6], d[2:4], d[:2]) and luhn_digits(d)


def il_id(d: str) -> bool:
    """Nine digits, Luhn."""
    return len(d) == 9 and len(set(d)) > 1 and luhn_digits(d)


def jp_my_number(d: str) -> bool:
    """Twelve digits, weights 6 to 2 and 7 to 2, modulus 11."""
    rest = weighted(d, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 if len(d) == 12 else 0
    return len(d) == 12 and len(set(d)) > 1 and int(d[11]) == (0 if rest <= 1 else 11 - rest)


def ar_cuil(d: str) -> bool:
    """Kind of holder, document, check digit modulo 11 (AFIP)."""
    if len(d) != 11 or d[:2] not in {"20", "23", "24", "25", "26", "27"}:
        return False
    check = (11 - weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return int(d[10]) == (9 if check == 10 else check)


def cn_resident(text: str) -> bool:
    """Region, birth date, sequence, ISO 7064 mod 11-2 (GB 11643)."""
    if len(text) != 18 or not is_date(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    rest = weighted(text, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return text[0] in "12345689" and "10X98765432"[rest] == text[17].upper()


def sg_nric(text: str) -> bool:
    """Letter of the series, seven digits, letter by weights 2,7,6,5,4,3,2 (ICA)."""
    text = text.upper()
    rest = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2))
    if text[0] == "M":
        return text[8] == "KLJNPQRTUWX"[10 - (rest + 3) % 11]
    rest += 4 if text[0] in "TG" else 0
    return text[8] == ("JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK")[rest % 11]


def mx_curp(text: str) -> bool:
    """Letters of the name, birth date, sex, state, letters, check digit over an alphabet with Ñ (RENAPO)."""
    text = text.upper()
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    total = sum(alphabet.index(char) * (18 - place) for place, char in enumerate(text[:17]))
    return _is_short_date(text[4:6], text[6:8], text[8:10]) and str((10 - total % 10) % 10) == text[17]


def ie_pps(text: str) -> bool:
    """Seven digits, a letter of their remainder by 23, since 2013 one more letter that counts nine times."""
    text = text.upper()
    second = ord(text[8]) - 64 if len(text) == 9 and text[8] != "W" else 0
    rest = (weighted(text[:7], (8, 7, 6, 5, 4, 3, 2)) + 9 * second) % 23
    return "WABCDEFGHIJKLMNOPQRSTUV"[rest] == text[7]


def cl_rut(text: str) -> bool:
    """Digits, then modulus 11 with K for ten (Registro Civil)."""
    digits, check = text[:-1], text[-1].upper()
    total = sum(int(char) * (2 + place % 6) for place, char in enumerate(reversed(digits)))
    return "0K987654321"[total % 11] == check


def de_pension(text: str) -> bool:
    """Area, birth date, letter, sequence, check digit by weights 2,1,2,5,7,1,2,1,2,1,2,1 (VKVV)."""
    text = text.upper()
    digits = f"{text[:8]}{ord(text[8]) - 64:02d}{text[9:11]}"
    day = int(text[2:4])
    if not _is_short_date(text[6:8], text[4:6], str(day - 50 if day > 50 else day)):
        return False
    products = (int(char) * weight for char, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(text[11])


def tw_id(text: str) -> bool:
    """A letter of the place, 1 or 2 (8 or 9 for residents), check digit modulo 10."""
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0].upper()) + 10
    return (number // 10 + weighted(f"{number % 10}{text[1:]}", (9, 8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def hk_id(text: str) -> bool:
    """One or two letters, six digits, a check character modulo 11; a missing first letter counts as a space (36)."""
    text = text.upper().replace("(", "").replace(")", "").rjust(9)
    values = [36 if char == " " else int(char, 36) for char in text]
    return sum(value * (9 - place) for place, value in enumerate(values)) % 11 == 0


def is_of_records(d: str) -> bool:
    """Whether digits begin with a date of the years whose records are numbered by dates: 2026…, 202603… or 260301….

    Read as dates of birth these are of people over ninety or under twelve.
    """
    if d[:2] == "20" and d[2] in "123":
        return True
    return 15 <= int(d[:2]) <= 34 and is_date(2000 + int(d[:2]), int(d[2:4]), int(d[4:6]))
