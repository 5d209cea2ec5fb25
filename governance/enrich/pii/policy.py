"""What the scanner looks for is data: countries, regions, thresholds and the bound on its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii.national_ids import COUNTRIES

if TYPE_CHECKING:
    from governance.model.request import Json


class ScanPolicy(NamedTuple):
    """`data.platform.scanner` of the bundle in force."""

    countries: frozenset[str] = COUNTRIES
    """Whose national identifiers are looked for (ISO 3166-1)."""
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "SE", "PL", "IN", "BR")
    """Where a number without a country code may be from."""
    least_score: float = 0.5
    """What is less certain is no finding."""
    work: int = 6_000_000
    """Units of work one request may cause (`matching.Work`)."""
    findings: int = 5_000
    """More findings than that cannot be decided on one by one."""
    deep_kinds: frozenset[str] = frozenset()
    """Kinds of request whose texts also go to the deep scan."""


def scan_policy(data: Json) -> ScanPolicy:
    """From the bundle's data; what is not named keeps its default. Raises ValueError or TypeError for what cannot be meant."""
    if data is None:
        return ScanPolicy()
    if not isinstance(data, dict):
        raise TypeError(f"data.platform.scanner has to be an object, not {type(data).__name__}")
    unknown = sorted(set(data) - set(ScanPolicy._fields))
    if unknown:
        raise ValueError(
            f"data.platform.scanner.{unknown[0]} is not a setting; there are {', '.join(ScanPolicy._fields)}"
        )
    strangers = sorted(set(data.get("countries", ())) - COUNTRIES)
    if strangers:
        raise ValueError(
            f"data.platform.scanner.countries: {strangers[0]} has no identifier here; known: {sorted(COUNTRIES)}"
        )
    base = ScanPolicy()
    return ScanPolicy(
        countries=frozenset(data.get("countries", base.countries)),
        phone_regions=tuple(data.get("phone_regions", base.phone_regions)),
        least_score=float(data.get("least_score", base.least_score)),
        work=int(data.get("work", base.work)),
        findings=int(data.get("findings", base.findings)),
        deep_kinds=frozenset(data.get("deep_kinds", base.deep_kinds)),
    )
