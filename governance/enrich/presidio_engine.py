"""The deep scan: presidio-analyzer, in a process of its own that is started by `presidio_worker` and killed by it.

    python -m governance.enrich.presidio_engine

reads one JSON line a question, `{"texts": […], "policy": {…}}`, and answers with one, `[[text, entity, start, end, score] …]`.
The only module that imports Presidio. It needs no model: tokens come from a pattern, so that words around a value count. What
needs a model, names of people, places and organisations in free text, is then NOT found; where a spaCy model is installed
it is used. Our own patterns are registered as a recogniser, so that both tiers know the same things. Sockets are closed
off before anything is imported: nothing here has a reason to talk.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

    from governance.enrich.pii.policy import ScanPolicy

_LANGUAGE = "en"
_TOKEN = re.compile(r"\w+|[^\w\s]")
# Addresses of the web are no personal data here, and Presidio's pattern for them takes a second on a kilobyte of `a.a.a.`.
_LEFT_OUT = ("UrlRecognizer",)


class _NoNetwork(socket.socket):
    """A socket that cannot be made."""

    def __init__(self, *_: object, **__: object) -> None:
        raise PermissionError("the deep scan has no network")


def close_network() -> None:
    """Make every attempt to open a connection in this process fail."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError("the deep scan has no network")

    socket.socket = _NoNetwork  # type: ignore[misc]
    socket.create_connection = refuse
    socket.getaddrinfo = refuse


def build(policy: ScanPolicy) -> AnalyzerEngine:
    """Presidio with our recogniser, and with a model only where one is installed."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

    # The list of public suffixes that comes with the package; the default looks for a newer one on the network.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    engine = _language_engine()
    registry = RecognizerRegistry(supported_languages=[_LANGUAGE])
    registry.load_predefined_recognizers(languages=[_LANGUAGE], nlp_engine=engine)
    for name in _LEFT_OUT:
        registry.remove_recognizer(name)
    registry.add_recognizer(_own_recognizer(policy))
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[_LANGUAGE])


def _language_engine() -> Any:
    """A model that the user installed, else words and nothing more."""
    import spacy.util
    from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine, SpacyNlpEngine
    from spacy.tokens import Doc

    installed = sorted(name for name in spacy.util.get_installed_models() if name.startswith(f"{_LANGUAGE}_"))
    if installed:
        engine = SpacyNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": installed[-1]}])
        engine.load()
        return engine

    class Words(NoOpNlpEngine):
        """Tokens by a pattern, each its own lemma: enough for the words around a value to count."""

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            found = list(_TOKEN.finditer(text))
            words = [match.group() for match in found]
            spaces = [text[match.end() : match.end() + 1].isspace() for match in found]
            return NlpArtifacts(
                entities=[],
                tokens=Doc(self._vocab, words=words, spaces=spaces),
                tokens_indices=[match.start() for match in found],
                lemmas=[word.lower() for word in words],
                nlp_engine=self,
                language=language,
                scores=[],
            )

    words = Words(models=[{"lang_code": _LANGUAGE, "model_name": "words"}])
    words.load()
    return words


def _own_recognizer(policy: ScanPolicy) -> Any:
    from presidio_analyzer import EntityRecognizer, RecognizerResult

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.analyze import analyze
    from governance.enrich.pii.national_ids import LETTERED, NUMERIC

    national = {kind.entity for kinds in NUMERIC.values() for kind in kinds} | set(LETTERED)

    class Own(EntityRecognizer):
        """The patterns of the request path."""

        def load(self) -> None:
            """Nothing to load."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: object) -> list[RecognizerResult]:  # noqa: ARG002  Presidio's signature
            found = analyze([Leaf((), "", text)], policy, hints=False)
            return [RecognizerResult(f.entity, f.start, f.end, f.score) for f in found if f.entity in entities]

    return Own(
        supported_entities=sorted(
            {"CREDIT_CARD", "IBAN_CODE", "EMAIL_ADDRESS", "PHONE_NUMBER", "IP_ADDRESS", *national}
        ),
        name="GovernanceRecognizer",
        supported_language=_LANGUAGE,
    )


def answer(engine: AnalyzerEngine, texts: list[str], least_score: float) -> list[list[object]]:
    """`[text number, entity, start, end, score]` for everything found."""
    return [
        [number, found.entity_type, found.start, found.end, round(found.score, 3)]
        for number, text in enumerate(texts)
        for found in engine.analyze(text, language=_LANGUAGE, score_threshold=least_score)
    ]


def main() -> None:
    """Answer until the input ends."""
    close_network()
    from governance.enrich.pii.policy import scan_policy

    engines: dict[str, AnalyzerEngine] = {}
    for line in sys.stdin:
        question = json.loads(line)
        key = json.dumps(question["policy"], sort_keys=True)
        policy = scan_policy(question["policy"])
        if key not in engines:
            engines = {key: build(policy)}
        sys.stdout.write(json.dumps(answer(engines[key], question["texts"], policy.least_score)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
