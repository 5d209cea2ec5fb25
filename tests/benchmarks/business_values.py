"""Numbers as business records hold them, none of them anybody's: what a scanner must not take for an identifier.

Made by the rules of whoever gives such numbers out (GS1, UPU, IATA, RFC 9562 …), with nothing of the recognisers in it.
Telephone numbers of people are left out: they are to be found. Freight and customer numbers stand for what has no rule.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_START = datetime(2019, 1, 1, tzinfo=UTC)


def _digits(rng: random.Random, count: int) -> str:
    return str(rng.randrange(1, 10)) + "".join(str(rng.randrange(10)) for _ in range(count - 1))


def _gs1(rng: random.Random, count: int, prefix: str = "") -> str:
    """GTIN, SSCC, GLN: weights 3 and 1 from the right (GS1 General Specifications, 7.9)."""
    body = prefix + "".join(str(rng.randrange(10)) for _ in range(count - 1 - len(prefix)))
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


def _parcel(rng: random.Random) -> str:
    """A postal item: service, eight digits, check digit, country (UPU S10)."""
    body = "".join(str(rng.randrange(10)) for _ in range(8))
    rest = 11 - sum(int(d) * w for d, w in zip(body, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    return f"{rng.choice(('RR', 'CP', 'LX', 'EE'))}{body}{ {10: 0, 11: 5}.get(rest, rest) }{rng.choice(('DE', 'GB', 'CN'))}"


def _waybill(rng: random.Random) -> str:
    """An air waybill: airline, serial, remainder by seven (IATA)."""
    serial = rng.randrange(1_000_000, 9_999_999)
    return f"{rng.choice(('020', '125', '176', '057'))}-{serial}{serial % 7}"


def _moment(rng: random.Random) -> datetime:
    return _START + timedelta(seconds=rng.randrange(8 * 365 * 86_400), milliseconds=rng.randrange(1000))


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


KINDS: dict[str, Callable[[random.Random], object]] = {
    "order_no": lambda rng: _digits(rng, rng.choice((8, 9, 10, 11, 12, 13))),
    "order_id": lambda rng: int(_digits(rng, rng.choice((9, 10, 11, 12, 13, 15)))),
    "reference": lambda rng: f"{rng.randrange(2019, 2027)}{_digits(rng, 7)}",
    "invoice": lambda rng: f"INV-{rng.randrange(2019, 2027)}-{rng.randrange(10**6):06d}",
    "invoice_no": lambda rng: f"{rng.randrange(2019, 2027)}{rng.randrange(1, 13):02d}{rng.randrange(10**5):05d}",
    "created_ms": lambda rng: int(_moment(rng).timestamp() * 1000),
    "created": lambda rng: int(_moment(rng).timestamp()),
    "stamp": lambda rng: _moment(rng).strftime("%Y%m%d%H%M%S"),
    "when": lambda rng: _moment(rng).isoformat(timespec="milliseconds"),
    "run": lambda rng: _moment(rng).strftime("%y%m%d") + f"{rng.randrange(10**4):04d}",
    "batch": lambda rng: _moment(rng).strftime("%y%m%d") + f"{rng.randrange(10**5):05d}",
    "lot": lambda rng: _moment(rng).strftime("%y%m%d") + f"-{rng.randrange(10**4):04d}",
    "snowflake": lambda rng: str(int((_moment(rng).timestamp() - 1288834974) * 1000) << 22 | rng.getrandbits(22)),
    "ean": lambda rng: _gs1(rng, 13, rng.choice(("40", "30", "50", "87", "69", "0"))),
    "gtin": lambda rng: _gs1(rng, 14, "1"),
    "upc": lambda rng: _gs1(rng, 12, "0"),
    "sscc": lambda rng: _gs1(rng, 18, "34"),
    "isbn": lambda rng: _gs1(rng, 13, "978"),
    "tracking": lambda rng: rng.choice((_digits(rng, 12), _digits(rng, 14), "1Z" + _digits(rng, 16))),
    "parcel": _parcel,
    "waybill": _waybill,
    "amount_cents": lambda rng: rng.randrange(10**3, 10**9),
    "amount": lambda rng: f"{rng.randrange(10**7) / 100:.2f}",
    "total": lambda rng: f"{rng.randrange(10**9):,}.{rng.randrange(100):02d}",
    "summe": lambda rng: f"{rng.randrange(10**9):,}".replace(",", ".") + f",{rng.randrange(100):02d}",
    "sha256": lambda rng: hashlib.sha256(rng.randbytes(8)).hexdigest(),
    "commit": lambda rng: rng.randbytes(20).hex(),
    "etag": lambda rng: rng.randbytes(8).hex(),
    "id": _uuid,
    "sku": lambda rng: f"{rng.choice('ABCDEFGHKLMNPRSTXYZ')}{rng.randrange(10**7):07d}",
    "part": lambda rng: f"{rng.randrange(10**4):04d}-{rng.randrange(10**3):03d}-{rng.choice('ABCDEFGHKX')}",
    "article": lambda rng: f"{rng.randrange(10**3):03d}.{rng.randrange(10**3):03d}.{rng.randrange(10**2):02d}",
    "ticket": lambda rng: f"{rng.choice(('OPS', 'HR', 'FIN'))}-{rng.randrange(10**5)}",
    "version": lambda rng: f"{rng.randrange(20)}.{rng.randrange(40)}.{rng.randrange(400)}",
    "bytes": lambda rng: rng.randrange(10**6, 10**12),
    "ratio": lambda rng: rng.random() * 10 ** rng.randrange(6),
    "meter": lambda rng: f"{rng.randrange(10**8):08d}",
    "customer_no": lambda rng: f"{rng.randrange(10**10):010d}",
}  # fmt: skip
FRAMES = ("{}", "see {} for details", "order {} was shipped", "processed {} in 12 s", "ref. {}", "#{}")


def values(rng: random.Random, count: int) -> list[tuple[str, object]]:
    """(name of its field, value), as many of each kind."""
    kinds = sorted(KINDS)
    return [(kinds[number % len(kinds)], KINDS[kinds[number % len(kinds)]](rng)) for number in range(count)]


def texts(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(kind, the value in a few words) of the same kinds."""
    return [(kind, rng.choice(FRAMES).format(value)) for kind, value in values(rng, count)]
