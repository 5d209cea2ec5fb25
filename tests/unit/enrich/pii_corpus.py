"""A labelled corpus of made-up people: values by Faker, which shares no code with the recognisers, in sentences and records.

Its limits: sentences are from a few dozen frames, values are as regular as Faker makes them, and of the languages only those
that Faker has. What it cannot show is how the scanner does on text as people write it.
"""

from __future__ import annotations

import base64
import json
import random
import string
from typing import NamedTuple
from urllib.parse import quote

from faker import Faker

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "sv_SE", "pl_PL", "pt_BR", "en_IN", "fi_FI")


class Sample(NamedTuple):
    """One value and what it is."""

    entity: str
    value: str


def _fakers(seed: int) -> dict[str, Faker]:
    found = {}
    for place, locale in enumerate((*LOCALES, "de_CH", "nl_BE")):
        found[locale] = Faker(locale)
        found[locale].seed_instance(seed + place)
    return found


def _steuer_id(rng: random.Random) -> str:
    """Built forwards from the published rule: one digit twice, then ISO 7064 mod 11,10."""
    digits = rng.sample("0123456789", 9)
    digits.insert(rng.randrange(10), rng.choice(digits))
    if digits[0] == "0":
        return _steuer_id(rng)
    check = 10
    for digit in digits:
        check = ((int(digit) + check) % 10 or 10) * 2 % 11
    last = 11 - check
    return "".join(digits) + str(0 if last == 10 else last)


def _nhs(rng: random.Random) -> str:
    while True:
        digits = [rng.randrange(10) for _ in range(9)]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            text = "".join(map(str, [*digits, check % 11]))
            return f"{text[:3]} {text[3:6]} {text[6:]}"


def _aadhaar(rng: random.Random) -> str:
    """Verhoeff's digit out of the dihedral group itself, not out of its tables."""

    def times(a: int, b: int) -> int:
        turned = (a % 5 + (b % 5 if a < 5 else -(b % 5))) % 5
        return turned + 5 * ((a >= 5) != (b >= 5))

    def moved(digit: int, times_: int) -> int:
        for _ in range(times_):
            digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
        return digit

    digits = [rng.randrange(2, 10), *(rng.randrange(10) for _ in range(10))]
    for last in range(10):
        check = 0
        for place, digit in enumerate([last, *reversed(digits)]):
            check = times(check, moved(digit, place % 8))
        if check == 0:
            return "".join(map(str, [*digits, last]))
    raise AssertionError("one of ten digits always fits")


def _random(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.ascii_letters + string.digits, k=count))


def _email(faker: Faker) -> str:
    return faker.email()


def _pan(rng: random.Random) -> str:
    letters = "".join(rng.choices(string.ascii_uppercase, k=5))
    return f"{letters[:3]}P{letters[4]}{rng.randrange(1, 10000):04d}{rng.choice(string.ascii_uppercase)}"


def samples(count: int, seed: int = 7) -> list[Sample]:
    """`count` values of each entity."""
    rng, fakers = random.Random(seed), _fakers(seed)
    us = fakers["en_US"]
    makers = {
        "EMAIL_ADDRESS": lambda: _email(fakers[rng.choice(LOCALES)]),
        "CREDIT_CARD": lambda: _grouped(us.credit_card_number(rng.choice(_CARDS)), rng),
        "IBAN_CODE": lambda: _spaced(fakers[rng.choice(LOCALES[1:10])].iban(), rng),
        "US_SSN": us.ssn,
        "IP_ADDRESS": lambda: us.ipv6() if rng.random() < 0.5 else us.ipv4_public(),
        "MAC_ADDRESS": us.mac_address,
        "ES_DNI": fakers["es_ES"].nif,
        "ES_NIE": fakers["es_ES"].nie,
        "IT_FISCAL_CODE": fakers["it_IT"].ssn,
        "FR_NIR": fakers["fr_FR"].ssn,
        "PL_PESEL": lambda: "PESEL " + fakers["pl_PL"].pesel(),
        "UK_NINO": lambda: rng.choice(("AB", "CE", "JG", "PR")) + fakers["en_GB"].ssn()[2:-1] + rng.choice("ABCD"),
        "SE_PERSONNUMMER": fakers["sv_SE"].ssn,
        "BR_CPF": fakers["pt_BR"].cpf,
        "IN_AADHAAR": lambda: _fours(_aadhaar(rng)),
        "FI_HETU": fakers["fi_FI"].ssn,
        "CH_AHV": fakers["de_CH"].ssn,
        "IN_PAN": lambda: _pan(rng),
        "DE_TAX_ID": lambda: "Steuer-ID " + _steuer_id(rng),
        "NL_BSN": lambda: "BSN " + fakers["nl_NL"].ssn(),
        "UK_NHS": lambda: _nhs(rng),
        "PHONE_NUMBER": lambda: _phone(fakers, rng),
        "BIRTH_DATE": lambda: _birth(us, rng),
        "AWS_ACCESS_KEY": lambda: "AKIA" + "".join(rng.choices(string.ascii_uppercase + "234567", k=16)),
        "GITHUB_TOKEN": lambda: "gh" + rng.choice("pous") + "_" + _random(rng, 36),
        "STRIPE_KEY": lambda: "sk_" + "live_" + _random(rng, 24),
    }  # fmt: skip
    return [Sample(entity, make()) for entity, make in makers.items() for _ in range(count)]


_CARDS = ("visa16", "visa19", "mastercard", "amex", "discover", "jcb16", "diners")


def _grouped(number: str, rng: random.Random) -> str:
    """As it is, or in the groups that stand on the card."""
    separator = rng.choice(("", " ", "-"))
    sizes = (4, 6, 5) if len(number) == 15 else (4, 6, 4) if len(number) == 14 else (4, 4, 4, 4, 3)
    parts, place = [], 0
    for size in sizes:
        parts.append(number[place : place + size])
        place += size
    return separator.join(part for part in parts if part)


def _spaced(iban: str, rng: random.Random) -> str:
    return iban if rng.random() < 0.5 else _fours(iban)


def _fours(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def _phone(fakers: dict[str, Faker], rng: random.Random) -> str:
    """As Faker writes them; some with a word before them that says what they are."""
    number = fakers[rng.choice(("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "sv_SE"))].phone_number()
    return rng.choice(("", "", "Tel. ", "call me on ")) + number


def _birth(us: Faker, rng: random.Random) -> str:
    day = us.date_of_birth(minimum_age=18)
    shown = rng.choice(
        (
            day.isoformat(),
            day.strftime("%d.%m.%Y"),
            day.strftime("%m/%d/%Y"),
            day.strftime("%d %B %Y"),
            day.strftime("%B %d, %Y"),
        )
    )
    return (
        rng.choice(("born on ", "date of birth: ", "DOB ", "geboren am ", "née le ", "fecha de nacimiento: ")) + shown
    )


FRAMES = (
    "{}", "Please update {} in the file.", "The customer wrote: {}, thanks", "ref={} ok", "({})", "'{}'", "a\n{}\nb",
    "Contact {} by Friday.", "value:{};", "| {} |", "See {} and reply", "Wir haben {} notiert.", "Nous avons {} ici.",
)  # fmt: skip


def negatives(count: int, seed: int = 11) -> list[str]:
    """Texts that hold nothing personal but look busy: prices, versions, identifiers, hashes, dates, prose."""
    rng = random.Random(seed)
    faker = Faker("en_US")
    faker.seed_instance(seed)
    makers = (
        lambda: faker.sentence(12),
        lambda: f"Order {rng.randrange(10**7, 10**8)} of {faker.date()} costs {rng.randrange(10, 9999)}.99 EUR",
        lambda: f"version {rng.randrange(20)}.{rng.randrange(20)}.{rng.randrange(99)} build {rng.randrange(10**5)}",
        lambda: str(faker.uuid4()),
        faker.sha256,
        faker.iso8601,
        lambda: f"{rng.randrange(10**9)} bytes in {rng.random():.6f} s",
        lambda: f"https://example.com/{faker.slug()}?page={rng.randrange(99)}",
        lambda: f"{rng.random() * 1000:.10f}",
        lambda: f"rows {rng.randrange(1000)}-{rng.randrange(1000, 2000)}, columns 1 2 3 4 5 6 7 8 9 10 11 12",
        lambda: f"Meeting on {faker.date()} at {faker.time()} in room {rng.randrange(100, 999)}",
        lambda: f"SKU-{faker.bothify('??-####-??').upper()}",
        lambda: f"{faker.catch_phrase()} ({rng.randrange(1990, 2026)}-{rng.randrange(2026, 2040)})",
        lambda: f"arn:aws:s3:::{faker.slug()}/{faker.file_name()}",
        lambda: f"{rng.randrange(1, 13):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}.{rng.randrange(1000):03d}",
    )  # fmt: skip
    return [rng.choice(makers)() for _ in range(count)]


def disguises(value: str) -> dict[str, str]:
    """The ways in which a value is hidden from a scanner that reads letter by letter."""
    half = len(value) // 2
    raw = value.encode()
    full = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)
    once = base64.b64encode(raw).decode()
    return {
        "zero-width space": "\u200b".join(value),
        "soft hyphen": "\u00ad".join(value),
        "word joiner": value[:half] + "\u2060" + value[half:],
        "right-to-left mark": value[:half] + "\u200f" + value[half:],
        "bidi override": "\u202d" + value + "\u202c",
        "full width": full,
        "mathematical digits": "".join(chr(0x1D7CE + int(c)) if c.isdigit() else c for c in value),
        "arabic digits": "".join(chr(0x0660 + int(c)) if c.isdigit() else c for c in value),
        "combining marks": "\u0336".join(value),
        "look-alike letters": value.translate(str.maketrans("aeopcxyABEKMHOPCTX", "аеорсхуАВЕКМНОРСТХ")),
        "no-break spaces": value.replace(" ", "\u00a0"),
        "unicode dashes": value.replace("-", "\u2011"),
        "control characters": value[:half] + "\x00" + value[half:],
        "url": quote(value, safe=""),
        "url, every byte": "".join(f"%{b:02X}" for b in raw),
        "url twice": quote(quote("@" + value, safe=""), safe=""),
        "html decimal": "".join(f"&#{ord(c)};" for c in value),
        "html hexadecimal": "".join(f"&#x{ord(c):x};" for c in value),
        "json escapes": "".join(f"\\u{ord(c):04x}" for c in value),
        "c escapes": "".join(f"\\x{b:02x}" for b in raw),
        "braced escapes": "".join(f"\\u{{{ord(c):x}}}" for c in value),
        "base64": once,
        "base64 without padding": once.rstrip("="),
        "base64, url alphabet": base64.urlsafe_b64encode(raw).decode(),
        "base64 twice": base64.b64encode(once.encode()).decode(),
        "base64 of utf-16": base64.b64encode(value.encode("utf-16-le")).decode(),
        "base64 in a sentence": f"see {once} for it",
        "base64 in a query": f"https://collect.example.com/i?d={once}",
        "base64 in a path": f"https://collect.example.com/i/{base64.urlsafe_b64encode(raw).decode()}",
        "hexadecimal": raw.hex(),
        "hexadecimal, capitals": raw.hex().upper(),
        "hexadecimal, spaced": raw.hex(" "),
        "hexadecimal, colons": raw.hex(":"),
        "0x": "0x" + raw.hex(),
        "hexadecimal in base64": base64.b64encode(raw.hex().encode()).decode(),
        "base64 in url": quote(once, safe=""),
        "query parameter": f"https://collect.example.com/?x=1&q={quote(value)}&y=2",
        "json in text": '{"a": {"b": "' + value + '"}}',
        "quoted-printable": "".join(f"={b:02X}" for b in raw),
        "in brackets": f"[[{value}]]",
        "look-alike dot": value.replace(".", "\u3002"),
        "tag characters": value[:half] + "\U000e0041" + value[half:],
        "letters drawn as nothing": "\u3164".join(value),
        "empty braille": value[:half] + "\u2800" + value[half:],
        "thai digits": "".join(chr(0x0E50 + int(c)) if c.isdigit() else c for c in value),
        "circled digits": "".join("\u24ea" if c == "0" else chr(0x245F + int(c)) if c.isdigit() else c for c in value),
        "keycaps": "".join(c + "\ufe0f\u20e3" if c.isdigit() else c for c in value),
        "small capitals": value.translate(str.maketrans("abcdegijkmnoprtuvwz", "ᴀʙᴄᴅᴇɢɪᴊᴋᴍɴᴏᴘʀᴛᴜᴠᴡᴢ")),
        "accents below": value.translate(str.maketrans("aeiou", "ạẹịọụ")),
        "html without semicolons": "".join(f"&#x{ord(c):x}" for c in value),
        "url, four digits": "".join(f"%u{ord(c):04x}" for c in value),
        "long escapes": "".join(f"\\U{ord(c):08x}" for c in value),
        "octal escapes": "".join(f"\\{b:03o}" for b in raw),
        "bold halves": f"<b>{value[:half]}</b><i>{value[half:]}</i>",
        "a comment in it": f"{value[:half]}<!-- x -->{value[half:]}",
        "joined texts": f'"{value[:half]}" + "{value[half:]}"',
        "base64 on lines": "\n".join(once[i : i + 12] for i in range(0, len(once), 12)),
        "hexadecimal on lines": "\n".join(raw.hex()[i : i + 12] for i in range(0, len(raw) * 2, 12)),
        "hexadecimal, dashes": raw.hex("-"),
        "0x, one by one": ", ".join(f"0x{b:02x}" for b in raw),
        "decimal bytes": " ".join(str(b) for b in raw),
        "json in json": json.dumps({"a": json.dumps({"b": value})}),
        "base64 of json": base64.b64encode(json.dumps({"x": value}).encode()).decode(),
        "url in base64": base64.b64encode(quote("@" + value, safe="").encode()).decode(),
    }
