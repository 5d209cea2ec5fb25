"""The deterministic reviewer: the threat list asked of a manifest, without a model and always.

It looks at what rules do not: how the parts of a design work together, and whether its texts address the reviewer.
Findings are facts; which severity needs a person is said in `rules/data/platform/review.yaml`. A finding has
`{pointer, severity, title, category, evidence, suggestion, source}`; `evidence` names members, it quotes no values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.injection import LONGEST_TEXT, is_suspect, marker_in
from governance.enrich.scan import leaves
from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from governance.model.request import Json, Request

REVIEWED_KINDS = frozenset({"template", "deploy", "publish"})
MOST_FINDINGS = 50
MOST_TEXT = 16_384
"""Characters of all texts together that are read for signs; a longer design is read by a person."""

_PERSONAL = frozenset({"personal", "financial", "special"})
_WIDE = frozenset({"tenant", "company", "public"})
_MODEL_WORDS = frozenset({"prompt", "llm", "model", "gpt", "chatbot", "assistant", "agent", "completion"})
_SLOTS = ("{{", "${", "{user", "{input", "{question", "{message", "%s")


class _Spec(NamedTuple):
    """The parts of a spec that the questions read, each of its type whatever the document holds."""

    audience: str
    classes: frozenset[str]
    connectors: list[tuple[int, dict[str, Json]]]
    registry: Mapping[str, Json]
    config: list[tuple[tuple[str | int, ...], str, str]]
    spec: dict[str, Json]

    @property
    def is_personal(self) -> bool:
        """Whether the app says that it touches personal data."""
        return bool(self.classes & _PERSONAL)

    @property
    def prompts(self) -> list[tuple[tuple[str | int, ...], str]]:
        """(path, text) of configuration that a model reads."""
        return [(path, text) for path, name, text in self.config if _words(name) & _MODEL_WORDS]


_Row = tuple[tuple[str | int, ...], str, str, str, str, str]


def checklist_findings(request: Request, registry: Mapping[str, Json]) -> list[Json]:
    """All findings about the design in a request, at most fifty; the same request gives the same ones.

    `registry`: connectors by name, each with `scopes: {name: {access}}`; a scope that is not there may write.
    """
    found = list(_texts(request.resource))
    spec = request.resource.get("spec")
    if request.kind in {"template", "deploy"} and isinstance(spec, dict):
        about = _read(spec, registry)
        for question in _QUESTIONS:
            found += question(about)
    return [_finding(row) for row in found[:MOST_FINDINGS]]


def _finding(row: _Row) -> Json:
    path, severity, category, title, evidence, suggestion = row
    return {
        "pointer": to_pointer(path),
        "severity": severity,
        "category": category,
        "title": title,
        "evidence": evidence,
        "suggestion": suggestion,
        "source": "checklist",
    }


_REWRITE = "Describe what the app does; leave out text for whoever reviews it."
_SIGNS = {
    "override": "Text tells its reader to leave other instructions alone",
    "role": "Text gives its reader another role",
    "verdict": "Text says how the review is to end",
    "address": "Text addresses an automated reviewer",
    "delimiter": "Text imitates the borders of a prompt",
    "tool": "Text imitates a tool call",
    "extraction": "Text asks for what a prompt holds",
    "encoded": "Text holds an encoded order to its reader",
    "hidden": "Text holds characters that a person does not see",
    "unreadable": "Text is too long to be read by a reviewer",
}
_CATEGORIES = {"hidden": "injection.hidden_text", "unreadable": "injection.unreadable"}


def _texts(resource: Json) -> Iterator[_Row]:
    """Signs in every text and in every name of a member; at the root for those that only several texts show together."""
    texts = [*((path, text) for path, _, text in leaves(resource)), *_names(resource)]
    whole = "\n".join(text for _, text in texts)
    if len(whole) > MOST_TEXT:
        yield _sign((), "unreadable", f"{len(whole)} characters of text")
        return
    if not is_suspect(whole):
        return
    count = 0
    for path, text in texts:
        sign = marker_in(text) if is_suspect(text) else ""
        if sign:
            count += 1
            yield _sign(path, sign, sign)
    if not count and len(whole) <= LONGEST_TEXT:
        together = marker_in(" ".join(text for _, text in texts))
        if together:
            yield _sign((), together, f"{together}, over several texts")


def _sign(path: tuple[str | int, ...], sign: str, evidence: str) -> _Row:
    return path, "high", _CATEGORIES.get(sign, "injection.marker"), _SIGNS[sign], evidence, _REWRITE


def _names(value: Json) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path, name) of every member whose name is more than a short word."""
    todo: list[tuple[tuple[str | int, ...], Json]] = [((), value)]
    while todo:
        path, node = todo.pop()
        if isinstance(node, dict):
            for key, item in node.items():
                if len(key) > 12 or not (key.isascii() and key.isalnum()):
                    yield (*path, key), key
                if isinstance(item, dict | list):
                    todo.append(((*path, key), item))
        elif isinstance(node, list):
            todo.extend(((*path, i), item) for i, item in enumerate(node) if isinstance(item, dict | list))


def _words(name: str) -> set[str]:
    """The words of a member's name: `systemPrompt`, `system_prompt` and `system-prompt` have the same."""
    spaced = "".join(f" {c.lower()}" if c.isupper() else c if c.isalnum() else " " for c in name)
    return set(spaced.split())


def _read(spec: dict[str, Json], registry: Mapping[str, Json]) -> _Spec:
    data = spec.get("data")
    classes = data.get("classes") if isinstance(data, dict) else None
    connectors = spec.get("connectors")
    config = [(("spec", "config", *path), name, text) for path, name, text in leaves(spec.get("config"))]
    return _Spec(
        audience=str(spec.get("audience", "")),
        classes=frozenset(c for c in classes if isinstance(c, str)) if isinstance(classes, list) else frozenset(),
        connectors=[(i, c) for i, c in enumerate(connectors) if isinstance(c, dict)]
        if isinstance(connectors, list)
        else [],
        registry=registry,
        config=config,
        spec=spec,
    )


def _writing_scopes(about: _Spec, connector: dict[str, Json]) -> list[int]:
    """Which of the scopes asked for let the app change something."""
    scopes = connector.get("scopes")
    known = about.registry.get(str(connector.get("name")), {}).get("scopes", {})
    return [
        i
        for i, scope in enumerate(scopes if isinstance(scopes, list) else [])
        if isinstance(scope, str) and known.get(scope, {}).get("access") != "read"
    ]


def _wide_and_personal(about: _Spec) -> Iterator[_Row]:
    if about.is_personal and about.audience in _WIDE:
        yield (
            ("spec", "audience"), "medium", "stride.information_disclosure", "Personal data meet a wide audience",
            "spec.audience with spec.data.classes", "Narrow the audience, or show each person only their own data.",
        )  # fmt: skip


def _one_owner(about: _Spec) -> Iterator[_Row]:
    owner = about.spec.get("owner")
    if owner and owner == about.spec.get("secondaryOwner"):
        yield (
            ("spec", "secondaryOwner"), "low", "stride.repudiation", "One person is owner and deputy",
            "spec.owner and spec.secondaryOwner", "Name a second person, who can speak for what the first one did.",
        )  # fmt: skip


def _writes(about: _Spec) -> Iterator[_Row]:
    for index, connector in about.connectors:
        for scope in _writing_scopes(about, connector):
            path = ("spec", "connectors", index, "scopes", scope)
            if about.audience == "public":
                yield (
                    path, "high", "stride.elevation", "Anybody can cause writes in a system of record",
                    "a writing scope with spec.audience", "Let a signed-in audience write, or read only.",
                )  # fmt: skip
            else:
                yield (
                    path, "low", "stride.elevation", "The app can change what a connector holds",
                    "a writing scope", "Read only where the purpose allows it.",
                )  # fmt: skip


def _joined_sources(about: _Spec) -> Iterator[_Row]:
    if about.is_personal and len(about.connectors) > 2:
        yield (
            ("spec", "connectors"), "medium", "linddun.linking", "Personal data from several systems meet in one app",
            f"{len(about.connectors)} connectors", "Join on the least that is needed, and keep nothing of the join.",
        )  # fmt: skip


def _writing_and_another(about: _Spec) -> Iterator[_Row]:
    writing = [index for index, connector in about.connectors if _writing_scopes(about, connector)]
    reading = [index for index, _ in about.connectors if index not in writing]
    if about.is_personal and writing and reading:
        yield (
            ("spec", "connectors", writing[0]), "medium", "linddun.data_disclosure",
            "Personal data read in one system can be written to another", "reading and writing connectors",
            "Say in the purpose what is written; keep personal data out of it.",
        )  # fmt: skip


def _no_limits(about: _Spec) -> Iterator[_Row]:
    quotas = about.spec.get("quotas")
    if not isinstance(quotas, dict) or not quotas.get("requestsPerDay"):
        yield (
            ("spec",), "low", "stride.denial_of_service", "No limit on requests a day", "spec.quotas.requestsPerDay",
            "Set spec.quotas.requestsPerDay to what the audience needs.",
        )  # fmt: skip


def _unexplained(about: _Spec) -> Iterator[_Row]:
    for index, connector in about.connectors:
        purpose = connector.get("purpose")
        if about.is_personal and isinstance(purpose, str) and 0 < len(purpose.split()) < 3:
            yield (
                ("spec", "connectors", index, "purpose"), "low", "linddun.unawareness",
                "A purpose that tells people nothing", "spec.connectors.purpose of one or two words",
                "Say whose data are used for what, in a sentence.",
            )  # fmt: skip


def _prompt_with_slots(about: _Spec) -> Iterator[_Row]:
    for path, text in about.prompts:
        if any(slot in text for slot in _SLOTS):
            yield (
                path, "medium", "llm.prompt_injection", "What users write is put into a prompt", "a slot in a prompt",
                "Pass user input as a message of its own, and treat the answer as untrusted.",
            )  # fmt: skip


def _model_that_acts(about: _Spec) -> Iterator[_Row]:
    if about.prompts and any(_writing_scopes(about, connector) for _, connector in about.connectors):
        severity = "high" if about.is_personal else "medium"
        yield (
            about.prompts[0][0], severity, "llm.excessive_agency", "A model's answer can lead to writes",
            "a prompt beside a writing scope", "Let a person confirm each write, or give the app reading scopes only.",
        )  # fmt: skip


def _model_and_people(about: _Spec) -> Iterator[_Row]:
    if about.prompts and about.is_personal:
        yield (
            about.prompts[0][0], "medium", "llm.sensitive_information", "Personal data can reach a model",
            "a prompt with spec.data.classes", "Mask personal data before they reach the model.",
        )  # fmt: skip


_QUESTIONS: tuple[Callable[[_Spec], Iterator[_Row]], ...] = (
    _wide_and_personal, _one_owner, _writes, _joined_sources, _writing_and_another, _no_limits, _unexplained,
    _prompt_with_slots, _model_that_acts, _model_and_people,
)  # fmt: skip
