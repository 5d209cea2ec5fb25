"""net.cidr_*: address blocks as OPA reads them, that is as Go's net package does.

A block is (version, first address, last address, prefix length). An IPv4 block written inside IPv6
(`::ffff:10.0.0.0/104`) is the IPv4 block: an address filter must not be passed by writing the same address differently.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.policy.builtins.operands import BuiltinError, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BITS = {4: 32, 6: 128}
_MAPPED = 0xFFFF << 32
# OPA expands anything and dies trying; a /12 of IPv4 is a million addresses.
_MOST_EXPANDED = 1 << 20


class Block(NamedTuple):
    """A contiguous range of addresses; `first` has no bits below the prefix unless it was given as a bare address."""

    version: int
    address: int
    prefix: int

    @property
    def first(self) -> int:
        """Lowest address."""
        return self.address >> self._free << self._free

    @property
    def last(self) -> int:
        """Highest address."""
        return self.first | ((1 << self._free) - 1)

    @property
    def _free(self) -> int:
        return _BITS[self.version] - self.prefix

    def holds(self, version: int, address: int) -> bool:
        """Whether an address is in the block."""
        return version == self.version and self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{_text(self.version, self.address)}/{self.prefix}"


def parse_address(text: str) -> tuple[int, int] | None:
    """(version, number), or None for what is no address. IPv4 inside IPv6 counts as IPv4; zones are refused."""
    try:
        if ":" not in text:
            return 4, int(IPv4Address(text))
        if "%" in text:
            return None
        number = int(IPv6Address(text))
    except AddressValueError:
        return None
    return (4, number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else (6, number)


def parse_block(text: str) -> Block:
    """A block from `address/prefix`, low bits cleared; raises BuiltinError."""
    address, _, prefix = text.partition("/")
    parsed = parse_address(address)
    if parsed is None or not (prefix.isascii() and prefix.isdigit()) or len(prefix) > 7:
        raise BuiltinError(f"invalid CIDR address: {text[:80]}")
    version, number = parsed
    written = 6 if ":" in address else 4
    length = int(prefix)
    if length > _BITS[written]:
        raise BuiltinError(f"invalid CIDR address: {text[:80]}")
    if written == version:
        return Block(version, Block(version, number, length).first, length)
    if length >= 96:
        return Block(4, Block(4, number, length - 96).first, length - 96)
    return Block(6, Block(6, _MAPPED | number, length).first, length)


def _text(version: int, number: int) -> str:
    return str(IPv4Address(number)) if version == 4 else str(IPv6Address(number))


def contains(block: str, other: str) -> bool:
    """Whether an address or a whole block lies in a block."""
    outer = parse_block(block)
    address = parse_address(other)
    if address is not None:
        return outer.holds(*address)
    try:
        inner = parse_block(other)
    except BuiltinError:
        raise BuiltinError(f"not a valid textual representation of an IP address or CIDR: {other[:80]}") from None
    return outer.holds(inner.version, inner.first) and outer.holds(inner.version, inner.last)


def intersects(left: str, right: str) -> bool:
    """Whether two blocks have an address in common."""
    one, two = parse_block(left), parse_block(right)
    return one.holds(two.version, two.first) or two.holds(one.version, one.first)


def is_valid(text: Any) -> bool:
    """Whether `text` is a block; false for what is not even text."""
    try:
        return isinstance(text, str) and parse_block(text) is not None
    except BuiltinError:
        return False


def expand(text: str) -> set[str]:
    """Every address of a block; refuses blocks of more than 2^20."""
    block = parse_block(text)
    if block.last - block.first >= _MOST_EXPANDED:
        raise BuiltinError(f"net.cidr_expand: {text[:80]} has more than {_MOST_EXPANDED} addresses")
    return {_text(block.version, number) for number in range(block.first, block.last + 1)}


def contains_matches(blocks: Any, others: Any) -> set[tuple[Any, Any]]:
    """Pairs (place of the block, place of what it contains); a place is an index, a key, or the member itself."""
    found = set()
    named = list(_named(2, others))
    for index, block in _named(1, blocks):
        found |= {(index, place) for place, other in named if contains(block, other)}
    return found


def _named(operand: int, value: Any) -> Iterator[tuple[Any, str]]:
    """(place, block) for each block of an operand."""
    kind = type_name(value)
    rows: Iterable[tuple[Any, Any]] = (
        [(value, value)]
        if kind == "string"
        else value.items()
        if kind == "object"
        else enumerate(value)
        if kind == "array"
        else ((member, member) for member in value)
    )
    for place, row in rows:
        block = row[0] if type_name(row) == "array" and row else row
        if not isinstance(block, str):
            raise BuiltinError(f"operand {operand}: element must be string or non-empty array")
        yield place, block


def merge(texts: Iterable[str]) -> set[str]:
    """The fewest blocks that cover the same addresses where blocks touch or overlap; others stay as they are.

    IPv4 counts as the part of IPv6 that maps it, so `::/0` takes in every IPv4 block.
    """
    groups: list[tuple[int, int, Block | None]] = []
    for first, last, block in sorted(_range(_mergeable(text)) for text in texts):
        if groups and first <= groups[-1][1] + 1:
            groups[-1] = (groups[-1][0], max(groups[-1][1], last), None)
        else:
            groups.append((first, last, block))
    return {str(block) for first, last, alone in groups for block in ([alone] if alone else _cover(first, last))}


def _range(block: Block) -> tuple[int, int, Block]:
    """First and last address among all IPv6 addresses, where IPv4 is `::ffff:0:0/96`."""
    offset = _MAPPED if block.version == 4 else 0
    return offset + block.first, offset + block.last, block


def _mergeable(text: str) -> Block:
    """A block, or a bare IPv4 address as the block of its class (A /8, B /16, else /24), as OPA has it."""
    address = parse_address(text)
    if address is None:
        return parse_block(text)
    version, number = address
    if version == 6:
        raise BuiltinError("IPv6 invalid: needs prefix length")
    return Block(4, number, 8 if number >> 31 == 0 else 16 if number >> 30 == 0b10 else 24)


def _cover(first: int, last: int) -> Iterator[Block]:
    """The fewest blocks that make up a range of IPv6 addresses; inside `::ffff:0:0/96` they are IPv4."""
    version = 4 if first >> 32 == last >> 32 == 0xFFFF else 6
    while first <= last:
        free = min(128 if first == 0 else (first & -first).bit_length() - 1, (last - first + 1).bit_length() - 1)
        yield Block(version, first & 0xFFFFFFFF if version == 4 else first, _BITS[version] - free)
        first += 1 << free


BUILTINS: dict[str, Callable[..., object]] = {
    "net.cidr_contains": contains,
    "net.cidr_contains_matches": contains_matches,
    "net.cidr_expand": expand,
    "net.cidr_intersects": intersects,
    "net.cidr_is_valid": is_valid,
    "net.cidr_merge": merge,
    "net.cidr_overlap": contains,
}
