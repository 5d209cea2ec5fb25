"""How well the scanner finds: precision and recall by kind, disguises, names in tables, and Presidio's own cases.

    python tests/benchmarks/scanner_quality.py [--presidio DIR]

The people are made up by Faker, which shares no code with the recognisers; tables get a column of names with and without a
header that says so, beside columns that only look like names. With `--presidio` (a source checkout of microsoft/presidio)
the cases of its recogniser tests are read where they stand: each is a text, and how often the kind should be found in it.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import random
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from governance.documents.leaves import Leaf  # noqa: E402
from governance.enrich.pii.analyze import analyze  # noqa: E402
from governance.enrich.pii.policy import ScanPolicy  # noqa: E402
from governance.enrich.scan import scan_document  # noqa: E402

# Which of Presidio's test files is about which of our kinds.
PRESIDIO = {
    "credit_card": "CREDIT_CARD", "crypto": "CRYPTO", "email": "EMAIL_ADDRESS", "iban": "IBAN_CODE", "ip": "IP_ADDRESS",
    "mac": "MAC_ADDRESS", "phone": "PHONE_NUMBER", "us_ssn": "US_SSN", "us_itin": "US_ITIN", "uk_nhs": "UK_NHS",
    "uk_nino": "UK_NINO", "es_nie": "ES_NIE", "es_nif": "ES_DNI", "it_fiscal_code": "IT_FISCAL_CODE",
    "pl_pesel": "PL_PESEL", "in_aadhaar": "IN_AADHAAR", "in_pan": "IN_PAN", "fi_personal_identity_code": "FI_HETU",
    "se_personnummer": "SE_PERSONNUMMER", "de_tax_id": "DE_TAX_ID",
}  # fmt: skip
HEADERS = ("last_name", "Vorname", "nom de famille", "apellidos", "cardholderName", "displayName")
ROWS = 8


def corpus_test():
    """The module of the corpus tests, which has the tables."""
    spec = importlib.util.spec_from_file_location("quality", ROOT / "tests" / "unit" / "enrich" / "test_pii_corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_in_tables(tables: int = 60) -> dict[str, tuple[int, int]]:
    """(found, all) columns: of names with a header, without one, and of what only looks like names."""
    from faker import Faker

    rng, counts = random.Random(3), {}
    for number in range(tables):
        faker = Faker(
            rng.choice(("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "sv_SE", "pl_PL", "pt_BR"))
        )
        faker.seed_instance(number)
        about = [{"mail": faker.email()} for _ in range(ROWS)]
        columns = {
            "names, header says so": (rng.choice(HEADERS), faker.last_name, "PERSON_NAME"),
            "names, header says nothing": ("who", lambda f=faker: f"{f.first_name()} {f.last_name()}", "PERSON_NAME"),
            "no names, header says so": (rng.choice(("city", "company", "job_title")), faker.company, "PERSON_NAME"),
            "cities, header says nothing": ("c7", faker.city, "PERSON_NAME"),
            "firms, header says nothing": ("c7", faker.company, "PERSON_NAME"),
            "job titles, header says nothing": ("c7", faker.job, "PERSON_NAME"),
            "names, rows not about people": ("who", faker.name, "PERSON_NAME"),
        }
        for what, (header, make, entity) in columns.items():
            rows = [{header: make(), **({} if what.endswith("about people") else row)} for row in about]
            found = {
                f.pointer for f in scan_document(json.dumps(rows).encode(), "application/json") if f.entity == entity
            }
            hit, total = counts.get(what, (0, 0))
            counts[what] = (hit + (len(found) > ROWS // 2), total + 1)
    return counts


def cases(path: Path):
    """(text, how many are expected) of every parametrised test in a file that has both."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize" and len(node.args) > 1):
            continue
        names = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
        wanted = [name.strip() for name in names.split(",")] if isinstance(names, str) else []
        text = next((name for name in ("text", "iban") if name in wanted), "")
        if not text or "expected_len" not in wanted or not isinstance(node.args[1], ast.List):
            continue
        places = wanted.index(text), wanted.index("expected_len")
        for row in node.args[1].elts:
            parts = getattr(row, "elts", ())
            values = [parts[i].value for i in places if len(parts) > i and isinstance(parts[i], ast.Constant)]
            if len(values) == 2 and isinstance(values[0], str) and isinstance(values[1], int):
                yield values[0], values[1]


def presidio_rows(folder: Path):
    """(kind, texts with one that were found, texts with one, texts without one that were found, texts without one)."""
    for name, entity in PRESIDIO.items():
        path = folder / "presidio-analyzer" / "tests" / f"test_{name}_recognizer.py"
        count: Counter[tuple[bool, bool]] = Counter()
        for text, expected in dict.fromkeys(cases(path)):
            found = analyze([Leaf((), "", text)], ScanPolicy(), hints=False)
            count[expected > 0, any(f.entity == entity for f in found)] += 1
        yield (
            entity,
            count[True, True],
            count[True, True] + count[True, False],
            count[False, True],
            sum(count[False, is_found] for is_found in (True, False)),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presidio", type=Path, metavar="DIR", help="a source checkout of microsoft/presidio")
    options = parser.parse_args()
    module = corpus_test()
    print("made-up people:            precision  recall")
    for entity, (precision, recall) in module.table().items():
        print(f"  {entity:24} {precision:9.3f} {recall:7.3f}")
    found = total = 0
    for sample in module.corpus.samples(1, seed=99):
        for text in module.corpus.disguises(sample.value).values():
            total += 1
            found += sample.entity in module.entities(text)
    print(f"disguises found: {found} of {total}")
    print("columns taken for people's names:")
    for what, (hit, count) in names_in_tables().items():
        print(f"  {what:34} {hit:3} of {count}")
    if options.presidio:
        print("Presidio's cases:          found       falsely found")
        for entity, hit, positive, wrong, negative in presidio_rows(options.presidio):
            print(f"  {entity:24} {hit:3} of {positive:3}  {wrong:3} of {negative:3}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
