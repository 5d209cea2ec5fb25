"""What the name of a member says about its value, in the languages that our connectors speak.

A name counts as a whole, by its last word or two (`billing_phone`), and for what lies below it (`phone: {home: …}`), where
the value has to look the part. Words are folded: case, accents, separators and a trailing number do not matter.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.pii.births import is_date
from governance.enrich.pii.national_ids import LETTERED, NUMERIC

if TYPE_CHECKING:
    from collections.abc import Sequence

# Folded: small letters, no accents, no separators.
_WORDS: dict[str, str] = {
    "PERSON_NAME": """
        firstname lastname fullname familyname givenname surname middlename maidenname forename nickname
        employeename contactname customername displayname patientname guestname cardholder cardholdername
        accountholder holdername vorname nachname familienname geburtsname prenom nomdefamille nombre nombrecompleto
        apellido apellidos cognome nomecompleto sobrenome primeironome voornaam achternaam imie nazwisko fornamn
        efternamn etunimi sukunimi
    """,
    "EMAIL_ADDRESS": "email emailaddress mail mailaddress emails courriel correo correoelectronico epost sahkoposti emailadres",
    "PHONE_NUMBER": """
        phone phonenumber phonenumbers mobile mobilenumber mobilephone cellphone telephone telephonenumber tel telno
        fax faxnumber telefon telefonnummer handy handynummer mobiltelefon telefono movil celular telefone telemovel
        cellulare portable telefoon telefoonnummer mobiel numertelefonu puhelin msisdn whatsapp
    """,
    "BIRTH_DATE": """
        birthdate dateofbirth birthday dob birth born bornon birthdt dobdate bday datebirth geboren fechanac fecnac
        datanasc datumnarozeni dogumtarihi fodselsdato szuletesidatum 出生日期 生年月日
        датарождения geburtsdatum geburtstag datedenaissance naissance
        fechadenacimiento nacimiento fechanacimiento datadinascita nascita datadenascimento geboortedatum
        dataurodzenia fodelsedatum syntymaaika
    """,
    "ADDRESS": """
        homeaddress street streetaddress streetname addressline addressline1 addressline2 postaladdress
        mailingaddress residentialaddress shippingaddress billingaddress strasse anschrift adresse hausnummer rue
        direccion domicilio calle indirizzo via endereco rua straat adres ulica adress gatuadress osoite housenumber
    """,
    "POSTAL_CODE": """
        zip zipcode postcode postalcode plz postleitzahl codepostal codigopostal cap cep postnummer postinumero
        kodpocztowy
    """,
    "GENDER": "gender sex geschlecht sexe sexo genero sesso geslacht plec kon sukupuoli",
    "AGE": "age alter edad eta idade leeftijd wiek alder",
    "NATIONALITY": """
        nationality staatsangehoerigkeit nationalitaet nationalitat nationalite nacionalidad nazionalita
        nationaliteit citizenship
    """,
    "EMPLOYEE_ID": "employeeid employeenumber personnelnumber staffid personalnummer matricule numerodeempleado",
    "US_SSN": "ssn socialsecurity socialsecuritynumber socialsecurityno",
    "NATIONAL_ID": """
        passport passportnumber passportno nationalid nationalidnumber identitynumber idcard idcardnumber
        driverslicense driverlicense drivinglicence personalausweis reisepass ausweisnummer passeport pasaporte dni
        nie nif cpf pesel bsn aadhaar nino nationalinsurancenumber nhsnumber steuerid steueridentifikationsnummer
        taxid taxnumber taxpayerid itin codicefiscale aadhaarnumber aadhaarno ninumber nhsno svnr ahvnumber ahvnr bsnnummer
        personnummer hetu sozialversicherungsnummer numerosecuritesociale nir curp rfc
        passaporto passaporte
        kimlikno tckn tckimlikno cnp codnumericpersonal amka egn fodselsnummer fodselsnr cprnummer cprnr cuil isikukood
        asmenskodas rodnecislo mynumber rrn residentregistrationnumber socialinsurancenumber tfn taxfilenumber medicare
        medicarenumber nric rut ppsn ppsnumber tnin niss rijksregisternummer insz rvnr versicherungsnummer
        teudatzehut hkid
    """,
    "CREDIT_CARD": "creditcard creditcardnumber cardnumber ccnumber pan kreditkarte kartennummer numerodetarjeta cartecredit",
    "CARD_SECURITY_CODE": "cvv cvc cvv2 cvc2 csc cardsecuritycode securitycode pruefziffer",
    "IBAN_CODE": """
        iban accountiban bankaccount bankaccountnumber kontonummer accountnumber numerodecuenta rekeningnummer
        routingnumber
    """,
    "IP_ADDRESS": "ipaddress ipaddr clientip remoteip remoteaddr sourceip userip",
    "HEALTH": """
        diagnosis diagnose diagnosen icd10 medication medicalcondition allergies bloodtype krankheit blutgruppe
        diagnostic diagnostico disability behinderung healthcondition vaccination
    """,
    "RELIGION": "religion konfession religiousbelief religione faith religiao",
    "POLITICAL_OPINION": "politicalopinion politicalparty partymembership",
    "ETHNICITY": "ethnicity race ethnicorigin ethnie etnia raceethnicity",
    "SEXUAL_ORIENTATION": "sexualorientation orientation sexuelleorientierung",
    "TRADE_UNION": "tradeunion unionmembership gewerkschaft syndicat sindicato",
    "ORGANIZATION": "employer employername arbeitgeber employeur empleador werkgever pracodawca arbetsgivare empregador",
    "SALARY": """
        salary salarygross grosssalary netsalary wage gehalt lohn salaire salario stipendio vencimento salaris
        wynagrodzenie lon
    """,
}
_ENTITY = {word: entity for entity, words in _WORDS.items() for word in words.split()}
# Last words that say it whatever stands in front; the others mean too much else (`cache_age`, `map_address`).
_LAST_OF = ("EMAIL_ADDRESS", "PHONE_NUMBER", "BIRTH_DATE", "US_SSN", "CREDIT_CARD", "IBAN_CODE", "SALARY", "IP_ADDRESS")
_LAST_TOO = """
    firstname lastname fullname surname familyname givenname passport passportnumber nationalid zipcode postcode postalcode
    gender cpf pesel bsn aadhaar aadhaarnumber nino nhsnumber personnummer hetu codicefiscale steuerid itin curp
"""
# Words of one language that mean something else in another's field names.
_TOO_COMMON = frozenset({
    "portable", "via", "cap", "kon", "pan", "eta", "mail", "handy", "orientation", "race", "faith", "birth", "lon",
})  # fmt: skip
_LAST = {word for entity in _LAST_OF for word in _WORDS[entity].split()} | set(_LAST_TOO.split())
_LAST -= _TOO_COMMON | {"born", "tel"}
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|passphrase|pwd|passwort|kennwort|secret|api[_-]?key|access[_-]?key|client[_-]?secret"
    r"|private[_-]?key|signing[_-]?key|encryption[_-]?key|connection[_-]?string|auth(?:orization)?|token)$"
)
# Whose identifier a name says it is; a value that is valid as one is called by it.
_NATIONAL = {
    "cpf": "BR_CPF", "pesel": "PL_PESEL", "bsn": "NL_BSN", "bsnnummer": "NL_BSN", "aadhaar": "IN_AADHAAR",
    "aadhaarnumber": "IN_AADHAAR", "aadhaarno": "IN_AADHAAR", "nino": "UK_NINO", "ninumber": "UK_NINO",
    "nationalinsurancenumber": "UK_NINO", "nhsnumber": "UK_NHS", "nhsno": "UK_NHS", "steuerid": "DE_TAX_ID",
    "steueridentifikationsnummer": "DE_TAX_ID", "codicefiscale": "IT_FISCAL_CODE", "personnummer": "SE_PERSONNUMMER",
    "hetu": "FI_HETU", "nir": "FR_NIR", "numerosecuritesociale": "FR_NIR", "dni": "ES_DNI", "nif": "ES_DNI", "nie": "ES_NIE",
    "ahvnumber": "CH_AHV", "ahvnr": "CH_AHV", "itin": "US_ITIN", "kimlikno": "TR_NATIONAL_ID", "tckn": "TR_NATIONAL_ID",
    "tckimlikno": "TR_NATIONAL_ID", "cnp": "RO_CNP", "codnumericpersonal": "RO_CNP", "amka": "GR_AMKA", "egn": "BG_EGN",
    "fodselsnummer": "NO_FODSELSNUMMER", "fodselsnr": "NO_FODSELSNUMMER", "cprnummer": "DK_CPR", "cprnr": "DK_CPR",
    "cuil": "AR_CUIL", "isikukood": "EE_ID", "rodnecislo": "CZ_RODNE_CISLO", "mynumber": "JP_MY_NUMBER", "rrn": "KR_RRN",
    "residentregistrationnumber": "KR_RRN", "socialinsurancenumber": "CA_SIN", "tfn": "AU_TFN", "taxfilenumber": "AU_TFN",
    "medicarenumber": "AU_MEDICARE", "nric": "SG_NRIC_FIN", "rut": "CL_RUT", "ppsn": "IE_PPS", "ppsnumber": "IE_PPS",
    "niss": "BE_NATIONAL_NUMBER", "insz": "BE_NATIONAL_NUMBER", "rijksregisternummer": "BE_NATIONAL_NUMBER",
    "svnr": "AT_SVNR", "rvnr": "DE_SOCIAL_SECURITY", "curp": "MX_CURP", "teudatzehut": "IL_ID", "tnin": "TH_TNIN",
}  # fmt: skip
_NUMBER_SIGNS = re.compile(r"[\s./-]")
# A plain "name" is a person's where the path says that it is about people.
_PEOPLE = """
    people persons person employees employee users user members member contacts contact customers customer clients
    client guests guest attendees attendee staff resources colleagues patients patient participants participant
    recipients recipient owner author mitarbeiter kunden kunde personen person benutzer salaries employes clientes
    empleados personas dipendenti clienti funcionarios medewerkers klanten students student teachers applicants
    applicant candidates candidate passengers passenger holder
"""
# Columns whose values look like people's names and are none.
_FIRM_WORDS = """
    company companyname organization organisation firma unternehmen entreprise societe empresa azienda bedrijf foretag
"""
_FIRMS = frozenset(_FIRM_WORDS.split())
_OTHER_WORDS = """
    city town place location country region state ort stadt ville ciudad citta stad product item article artikel produit
    producto title job jobtitle role position profession beruf department team project brand model category status type
    event venue restaurant hotel school university course book movie song street address note comment subject
"""
_NO_PEOPLE = frozenset(_OTHER_WORDS.split())
_ABOUT_PEOPLE = frozenset(_PEOPLE.split())
_NAME_BELOW = frozenset({"first", "last", "middle", "given", "family", "formatted", "full"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9\x80-\uffff]+")
_PHONE_SHAPE = re.compile(r"[+(]?[\d(][\d ()./-]{4,24}\d")
_LONGEST_NAME = 64


class Meaning(NamedTuple):
    """What a member's name says."""

    entity: str | None
    """Personal data that stands under it whatever it looks like."""
    is_secret: bool
    is_name: bool
    """Whether it is a plain "name", whose meaning the path decides."""


def meaning(name: str) -> Meaning:
    """The meaning of one name; names longer than any that means something mean nothing."""
    return _meaning(name) if len(name) <= _LONGEST_NAME else _NOTHING


_NOTHING = Meaning(None, False, False)


@lru_cache(maxsize=8192)
def _meaning(name: str) -> Meaning:
    words = [folded for word in _CAMEL.split(name) if (folded := _folded(word))]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    is_secret = _SECRET_NAME.search(spaced) is not None
    whole = "".join(words)
    entity = _ENTITY.get(whole)
    for count in (2, 1):
        last = "".join(words[-count:])
        if entity is None and len(words) > count and last in _LAST:
            entity = _ENTITY[last]
    if whole in _TOO_COMMON:
        entity = None
    return Meaning(entity, is_secret, whole in {"name", "nom", "nome", "naam", "namn", "nazwa"})


def _folded(word: str) -> str:
    plain = (
        unicodedata.normalize("NFKD", word.lower())
        .replace("\u00df", "ss")
        .replace("\u00f8", "o")
        .replace("\u0142", "l")
    )
    return "".join(char for char in plain if char.isalnum()).rstrip("0123456789")


def is_employer(name: str) -> bool:
    """Whether a member of somebody's record names the firm they belong to."""
    return _folded(name[:_LONGEST_NAME]) in _FIRMS


def says_other(name: str) -> bool:
    """Whether a column's name says that it holds something else than people, though its values look like names."""
    words = [_folded(word) for word in _CAMEL.split(name[:_LONGEST_NAME])]
    return any(word in _FIRMS or word in _NO_PEOPLE for word in words if word)


def is_about_people(path: Sequence[str | int]) -> bool:
    """Whether one of the names on the way says that people are described below it."""
    return any(isinstance(segment, str) and _about(segment) for segment in path)


@lru_cache(maxsize=8192)
def _about(segment: str) -> bool:
    return _folded(segment[:_LONGEST_NAME]) in _ABOUT_PEOPLE


def national(name: str, text: str) -> str | None:
    """The identifier that a name says a valid value is; None where the name does not say, or the value is none."""
    words = [folded for word in _CAMEL.split(name[:_LONGEST_NAME]) if (folded := _folded(word))]
    entity = next((_NATIONAL[last] for n in (len(words), 2, 1) if (last := "".join(words[-n:])) in _NATIONAL), None)
    if entity is None:
        return None
    plain = _NUMBER_SIGNS.sub("", text)
    if entity in LETTERED:
        return entity if LETTERED[entity].is_valid(text.strip() if entity == "FI_HETU" else plain) else None
    kinds = NUMERIC.get(len(plain), ()) if plain.isascii() and plain.isdigit() else ()
    return entity if any(kind.entity == entity and kind.is_valid(plain) for kind in kinds) else None


def inherited(path: Sequence[str | int], text: str) -> str | None:
    """The entity that a name further up gives a value which looks the part; `path` ends with the value's own name."""
    own = path[-1] if path else ""
    for segment in path[-2:-5:-1]:
        if not isinstance(segment, str):
            continue
        found = meaning(segment)
        if found.is_name and isinstance(own, str) and _folded(own) in _NAME_BELOW:
            return "PERSON_NAME"
        if found.entity is not None:
            return found.entity if looks_like(found.entity, text) else None
    return None


def looks_like(entity: str, text: str) -> bool:
    """Whether a value can be what a name further up says."""
    if entity == "PHONE_NUMBER":
        return _PHONE_SHAPE.fullmatch(text.strip()) is not None
    if entity == "BIRTH_DATE":
        return is_date(text)
    if entity == "PERSON_NAME":
        words = text.split()
        return 1 <= len(words) <= 5 and all(word[:1].isupper() for word in words) and not any(c.isdigit() for c in text)
    if entity in {"ADDRESS", "POSTAL_CODE"}:
        return any(char.isalnum() for char in text) and len(text) <= 120
    return any(char.isdigit() for char in text) and entity not in {"EMAIL_ADDRESS", "AGE", "SALARY"}
