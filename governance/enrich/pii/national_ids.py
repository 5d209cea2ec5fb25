"""National identifiers: the rule of each, as its issuer publishes it. Every check takes the value without separators."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii import world_ids
from governance.enrich.pii.checksums import is_date, luhn_digits, verhoeff, weighted
from governance.enrich.pii.company import BELIEVED, DOUBTED

if TYPE_CHECKING:
    from collections.abc import Callable


class NationalId(NamedTuple):
    """One kind of identifier."""

    country: str
    entity: str
    is_valid: Callable[[str], bool]
    groups: tuple[tuple[int, ...], ...] = ()
    """How its digits are written in groups; the grouping is evidence where the check digit alone is weak."""
    words: str = ""
    """What a text calls it, as a pattern: said before bare digits, it is evidence."""
    separators: str = "- ."
    """What may stand between its groups."""
    most_separators: int = 1
    """How many different ones: a Brazilian number has points and a dash."""
    bare: float = 0.0
    """The score of bare digits: 0.75 where fewer than one in five hundred numbers of that length pass, `BELIEVED` with two
    check digits, `DOUBTED` where up to one in a hundred passes, 0 where more do."""
    is_dated: bool = False
    """Whether its digits begin with a date: bare, one of the years in which records are numbered by dates is none of birth."""


def us_ssn(d: str) -> bool:
    """Groups that were ever issued (SSA, "Social Security Number Randomization"), and not in an advertisement."""
    issued = d[:3] not in {"000", "666"} and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"
    return len(d) == 9 and issued and d not in {"078051120", "123456789"} and len(set(d)) > 1


def us_itin(d: str) -> bool:
    """Area 9xx, group 50-65, 70-88, 90-92 or 94-99 (IRS, ITIN)."""
    group = int(d[3:5]) if len(d) == 9 else 0
    return len(d) == 9 and d[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94)


def de_tax_id(d: str) -> bool:
    """Steuer-ID: one digit two or three times among the first ten, ISO 7064 mod 11,10."""
    if len(d) != 11 or d[0] == "0":
        return False
    counts = sorted((d[:10].count(digit) for digit in set(d[:10])), reverse=True)
    if counts[0] > 3 or (counts[0] > 1 and counts[1] > 1):
        return False  # since 2016 one digit may stand there three times; each once is not issued, but is what examples have
    product = 10
    for digit in d[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(d[10])


def fr_nir(d: str) -> bool:
    """Sex, year, month, department, commune, order, key = 97 - n mod 97 (INSEE); Corsica is 2A and 2B."""
    d = d.upper()
    if len(d) != 15 or d[0] not in "12" or not (1 <= _int(d[3:5]) <= 12 or 20 <= _int(d[3:5]) <= 42):
        return False
    number = d[:13].replace("2A", "19", 1).replace("2B", "18", 1) if d[5:7] in {"2A", "2B"} else d[:13]
    return number.isdigit() and d[13:].isdigit() and 97 - int(number) % 97 == int(d[13:])


def _int(text: str) -> int:
    return int(text) if text.isdigit() else -1


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def es_dni(text: str) -> bool:
    """Eight digits (older ones are written with seven) and the letter of their remainder by 23."""
    text = text.upper().rjust(9, "0")
    return len(text) == 9 and text[:8].isdigit() and text[8] == _DNI[int(text[:8]) % 23]


def es_nie(text: str) -> bool:
    """X, Y or Z stands for 0, 1, 2; then as a DNI."""
    text = text.upper()
    return text[:1] in {"X", "Y", "Z"} and es_dni(str("XYZ".index(text[0])) + text[1:])


_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def it_fiscal_code(text: str) -> bool:
    """Codice fiscale (D.M. 23/12/1976): sixteen characters, the last computed from the others."""
    text = text.upper()
    if len(text) != 16 or not text.isalnum() or not text.isascii():
        return False
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in text[1:15:2])
    return text[15] == chr(65 + (even + sum(_ODD[c] for c in text[0:15:2])) % 26)


def nl_bsn(d: str) -> bool:
    """The eleven test, the last digit counting minus one."""
    return len(d) == 9 and len(set(d)) > 1 and weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pl_pesel(d: str) -> bool:
    """Birth date with the century in the month, weights 1-3-7-9."""
    if len(d) != 11:
        return False
    year, month, day = int(d[:2]), int(d[2:4]), int(d[4:6])
    century = {0: 1900, 1: 2000, 4: 1800}.get(month // 20, 0)
    is_day = century > 0 and is_date(century + year, month % 20, day)
    return is_day and (10 - weighted(d[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(d[10])


def uk_nhs(d: str) -> bool:
    """Ten digits, weights ten to two, modulus 11."""
    if len(d) != 10 or len(set(d)) == 1:
        return False
    check = 11 - weighted(d[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return check != 10 and check % 11 == int(d[9])


def uk_nino(text: str) -> bool:
    """Prefix letters that are issued (HMRC, NIM39110), and ZZ, which stands in for one; suffix A to D."""
    text = text.upper()
    is_issued = text[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN"} and text[-1:] in {"A", "B", "C", "D"}
    return len(text) == 9 and (is_issued or text[:2] == "ZZ")


def se_personnummer(d: str) -> bool:
    """Birth date and Luhn over ten digits; a coordination number adds 60 to the day."""
    if len(d) not in {10, 12}:
        return False
    day = int(d[-6:-4])
    month, year = int(d[-8:-6]), int(d[:4]) if len(d) == 12 else 2000 + int(d[:2])
    in_century = len(d) == 10 or 1850 <= year <= 2100
    return in_century and is_date(year, month, day - 60 if day > 60 else day) and luhn_digits(d[-10:])


def br_cpf(d: str) -> bool:
    """Two check digits modulo 11."""
    if len(d) != 11 or len(set(d)) == 1:
        return False
    first = weighted(d[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(d[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return d[9:] == f"{first}{second}"


def in_aadhaar(d: str) -> bool:
    """Twelve digits from 2 up, Verhoeff's check digit."""
    if len(d) != 12 or d[0] in "01" or d == d[::-1]:
        return False
    return verhoeff(d)


def in_pan(text: str) -> bool:
    """Five letters, the fourth being the kind of holder, four digits, a letter."""
    text = text.upper()
    return len(text) == 10 and text[3] in "ABCFGHJLPT" and text[5:9] != "0000"


def fi_hetu(text: str) -> bool:
    """Birth date, century sign, number, check character modulo 31."""
    plain = text.upper()
    number = plain[:6] + plain[7:10]
    is_formed = len(plain) == 11 and number.isdigit() and 1 <= int(plain[:2]) <= 31 and 1 <= int(plain[2:4]) <= 12
    return (
        is_formed
        and is_date(_hetu_year(plain), int(plain[2:4]), int(plain[:2]))
        and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == plain[10]
    )


def _hetu_year(plain: str) -> int:
    century = 1800 if plain[6] == "+" else 1900 if plain[6] in "-YXWVU" else 2000
    return century + int(plain[4:6])


def be_national(d: str) -> bool:
    """97 less the remainder by 97; people born from 2000 on have a 2 put in front."""
    if len(d) != 11 or int(d[2:4]) > 12 or int(d[4:6]) > 31:
        return False
    key = int(d[9:])
    return key in {97 - int(d[:9]) % 97, 97 - int("2" + d[:9]) % 97}


def ch_ahv(d: str) -> bool:
    """756 and an EAN-13 check digit."""
    check = (10 - weighted(d[:12], (1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)) % 10) % 10 if len(d) == 13 else -1
    return d[:3] == "756" and check == int(d[12])


# What is written in digits alone, by how many there are. Where several fit and nothing is said, the first is taken.
NUMERIC: dict[int, tuple[NationalId, ...]] = {
    9: (
        NationalId("US", "US_SSN", us_ssn, ((3, 2, 4),), "ssn|social.?sec"),
        NationalId("US", "US_ITIN", us_itin, ((3, 2, 4), (3, 6)), "itin|(?:individual )?taxpayer"),
        NationalId("NL", "NL_BSN", nl_bsn, ((4, 2, 3), (3, 3, 3)), "bsn|burger|sofi"),
        NationalId("CA", "CA_SIN", world_ids.ca_sin, ((3, 3, 3),), "sin\\b|nas\\b|social.?ins|assurance.?soc", "- "),
        NationalId("AU", "AU_TFN", world_ids.au_tfn, ((3, 3, 3),), "tfn|tax.?file", " "),
        NationalId("PT", "PT_NIF", world_ids.pt_nif, ((3, 3, 3),), "nif|contribuinte", " "),
        NationalId("IL", "IL_ID", world_ids.il_id, (), "teudat|israeli"),
    ),
    10: (
        NationalId("GB", "UK_NHS", uk_nhs, ((3, 3, 4),), "nhs|patient", " -"),
        NationalId(
            "SE", "SE_PERSONNUMMER", se_personnummer, ((6, 4),), "person.?n|samordning", "-+", bare=DOUBTED, is_dated=True
        ),
        NationalId("CZ", "CZ_RODNE_CISLO", world_ids.cz_rodne, ((6, 4),), "rodn|r\\. ?c", "/"),
        NationalId("AT", "AT_SVNR", world_ids.at_svnr, ((4, 6),), "sv-?nr|sozialversich|versicherungsn", " ", bare=DOUBTED),
        NationalId("DK", "DK_CPR", world_ids.dk_cpr, (), "cpr|person.?n"),
        NationalId("AU", "AU_MEDICARE", world_ids.au_medicare, ((4, 5, 1),), "medicare", " -"),
        NationalId("BG", "BG_EGN", world_ids.bg_egn, (), "egn|\xaa\xaa\xaa\\b"),
    ),
    11: (
        NationalId("BR", "BR_CPF", br_cpf, ((3, 3, 3, 2), (9, 2)), "cpf|cadastro", most_separators=2, bare=BELIEVED),
        NationalId("PL", "PL_PESEL", pl_pesel, (), "pesel", bare=DOUBTED, is_dated=True),
        NationalId("DE", "DE_TAX_ID", de_tax_id, ((2, 3, 3, 3),), "steuer|idnr|tin|tax", " ", bare=BELIEVED),
        NationalId(
            "BE", "BE_NATIONAL_NUMBER", be_national, ((2, 2, 2, 3, 2), (6, 3, 2)), "rijks|insz|niss", most_separators=2,
            bare=0.75, is_dated=True,
        ),
        NationalId("NO", "NO_FODSELSNUMMER", world_ids.no_fnr, ((6, 5),), "f.dsels|fnr|person.?n", " -", bare=0.75),
        NationalId("TR", "TR_NATIONAL_ID", world_ids.tr_national, (), "tc.?kimlik|tckn|kimlik", bare=BELIEVED),
        NationalId("EE", "EE_ID", world_ids.ee_id, (), "isikukood|asmens", bare=DOUBTED),
        NationalId("GR", "GR_AMKA", world_ids.gr_amka, (), "amka", bare=DOUBTED),
        NationalId("AR", "AR_CUIL", world_ids.ar_cuil, ((2, 8, 1),), "cuil|cuit", "-"),
        NationalId("NG", "NG_NIN", world_ids.ng_nin, (), "nin\\b|national identi"),
    ),
    12: (
        NationalId("IN", "IN_AADHAAR", in_aadhaar, ((4, 4, 4),), "aadhaa?r|uid"),
        NationalId("SE", "SE_PERSONNUMMER", se_personnummer, ((8, 4),), "person.?n", "-+", bare=0.75, is_dated=True),
        NationalId("JP", "JP_MY_NUMBER", world_ids.jp_my_number, (), "my.?number|individual number"),
    ),
    13: (
        NationalId("CH", "CH_AHV", ch_ahv, ((3, 4, 4, 2),), "ahv|avs", ".", bare=0.75),
        NationalId("KR", "KR_RRN", world_ids.kr_rrn, (), "rrn|resident reg", bare=DOUBTED, is_dated=True),
        NationalId("KR", "KR_RRN", world_ids.kr_dated, ((6, 7),), "rrn|resident reg", "-"),
        NationalId(
            "ZA", "ZA_ID", world_ids.za_id, ((6, 4, 3), (6, 4, 2, 1)), "south afric|rsa|sa id", " ", bare=0.75,
            is_dated=True,
        ),
        NationalId("RO", "RO_CNP", world_ids.ro_cnp, (), "cnp|cod numeric", bare=DOUBTED),
        NationalId("TH", "TH_TNIN", world_ids.th_tnin, ((1, 4, 5, 2, 1),), "thai|tnin|\xaa{8,}"),
    ),
    15: (
        NationalId("FR", "FR_NIR", fr_nir, ((1, 2, 2, 2, 3, 3, 2), (13, 2)), "s\xe9cu|nir|insee", " ", bare=0.75),
    ),
}  # fmt: skip
# What holds letters, by entity; `lettered` has the patterns that find candidates.
LETTERED: dict[str, NationalId] = {
    found.entity: found
    for found in (
        NationalId("ES", "ES_DNI", es_dni),
        NationalId("ES", "ES_NIE", es_nie),
        NationalId("IT", "IT_FISCAL_CODE", it_fiscal_code),
        NationalId("GB", "UK_NINO", uk_nino),
        NationalId("IN", "IN_PAN", in_pan),
        NationalId("FI", "FI_HETU", fi_hetu),
        NationalId("FR", "FR_NIR", fr_nir),
        NationalId("IN", "IN_AADHAAR", in_aadhaar),
        NationalId("CN", "CN_RESIDENT_ID", world_ids.cn_resident),
        NationalId("SG", "SG_NRIC_FIN", world_ids.sg_nric),
        NationalId("MX", "MX_CURP", world_ids.mx_curp),
        NationalId("IE", "IE_PPS", world_ids.ie_pps),
        NationalId("CL", "CL_RUT", world_ids.cl_rut),
        NationalId("DE", "DE_SOCIAL_SECURITY", world_ids.de_pension),
        NationalId("TW", "TW_ID", world_ids.tw_id),
        NationalId("HK", "HK_ID", world_ids.hk_id),
    )
}
COUNTRIES = frozenset(n.country for group in NUMERIC.values() for n in group) | {n.country for n in LETTERED.values()}
