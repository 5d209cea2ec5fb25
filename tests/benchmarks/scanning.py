"""What looking for personal data costs: our request path against Presidio as it comes, on the same texts in the same run.

    python tests/benchmarks/scanning.py [--rounds N]

Presidio gets its default recognisers for English and no model (`NoOpNlpEngine`), text by text; ours reads the payload as the
request path does, names of members and decoded layers included. CPU of the process; a ratio above 1 says how many times
more Presidio takes. Then the worst of the megabytes that are made to stall a scanner, in CPU seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from governance.documents.leaves import Leaf, leaves_of  # noqa: E402
from governance.enrich.pii.analyze import analyze  # noqa: E402
from governance.enrich.pii.matching import WorkExceeded  # noqa: E402
from governance.enrich.pii.policy import ScanPolicy  # noqa: E402

PEOPLE = [
    {
        "id": number,
        "name": f"Ada Example {number}",
        "email": f"ada.{number}@example.com",
        "phone": f"+49 30 90182{number:02d}",
        "card": "4111 1111 1111 1111",
        "note": "prefers the window seat and vegan food on long journeys",
        "when": "2026-03-01T10:00:00Z",
    }
    for number in range(15)
]
PLAIN = [
    {"id": n, "dish": "lentils with rice", "place": "canteen two", "votes": n * 7, "tags": ["vegan", "hot"]}
    for n in range(40)
]


def presidio():
    """Presidio's analyzer with what it loads by default, told not to use the network."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    engine.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


def cpu(call, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def attacks() -> dict[str, str]:
    """The megabytes of the test corpus."""
    spec = importlib.util.spec_from_file_location(
        "pii_attacks", ROOT / "tests" / "unit" / "enrich" / "test_pii_corpus.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ATTACKS


def worst() -> tuple[float, str]:
    """(CPU seconds, name) of the attack that takes longest."""
    found = []
    for name, text in attacks().items():
        start = time.process_time()
        with contextlib.suppress(WorkExceeded):
            analyze([Leaf(("x",), "x", text)], ScanPolicy(), hints=True)
        found.append((time.process_time() - start, name))
    return max(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    engine = presidio()
    for what, payload in (("3 KB of people", PEOPLE), ("3 KB without findings", PLAIN)):
        size = len(json.dumps(payload))
        texts = [leaf.text for leaf in leaves_of(payload)]

        def ours(payload=payload) -> None:
            analyze(list(leaves_of(payload, names=True)), ScanPolicy(), hints=True)

        def theirs(texts=texts) -> None:
            for text in texts:
                engine.analyze(text, language="en")

        def joined(texts=texts) -> None:
            engine.analyze("\n".join(texts), language="en")

        ours(), theirs(), joined()
        rows = [(cpu(ours, 20), cpu(theirs, 1), cpu(joined, 2)) for _ in range(options.rounds)]
        mine = statistics.median(row[0] for row in rows)
        each = statistics.median(row[1] / row[0] for row in rows)
        once = statistics.median(row[2] / row[0] for row in rows)
        print(
            f"{what} ({size} bytes): ours {mine * 1e3:.2f} ms, {size / mine / 1e6:.1f} MB/CPU s; "
            f"Presidio value by value {each:.0f}x, as one text {once:.0f}x"
        )
    seconds, name = worst()
    print(f"worst megabyte: {name}, {seconds:.2f} CPU s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
