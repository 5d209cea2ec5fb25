"""A model's review of one design, from the question to what is kept of the answer.

In order: already reviewed? mask → does the question fit? → is there budget? → record that it is asked → ask → check the
answer → record what came of it → keep it. Nothing leaves before its record is durable, and nothing is kept that is not on
record. Every way to fail ends in an `Outcome` with a reason: then the line has no review, and a rule asks for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.llm import CLIENTS, Endpoint, ModelFailed, Reply
from governance.enrich.review_answer import BadAnswer, findings_in
from governance.enrich.review_prompt import prompt_for
from governance.enrich.review_store import design_in
from governance.enrich.scan import ScanFacts
from governance.errors import CallerError
from governance.masking import masked, scrubbed
from governance.model.moment import new_decision_id, utc_now
from governance.model.pointer import to_pointer, to_segments
from governance.platform.review_budget import Spent, prices_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.enrich.llm import Worker
    from governance.enrich.review_prompt import Prompt
    from governance.enrich.review_store import ReviewStore
    from governance.model.request import Json, Request
    from governance.pipeline import Pipeline
    from governance.platform.review_budget import Budget
    from governance.settings import Settings

_MOST_CHANGES = 50
_NOTHING = Spent(0, 0)


class Outcome(NamedTuple):
    """What came of one review by a model."""

    status: str
    """`done` or `unavailable`."""
    reason: str
    findings: list[Json]
    model: str
    review_id: str
    spent: Spent
    is_cached: bool = False


def endpoint_of(settings: Settings) -> Endpoint:
    """Where the configured models are asked. Raises CallerError for settings that do not fit together."""
    client = settings.choice("review_client", CLIENTS)
    base = settings.text("review_api_base")
    if (client == "openai" or base) and not base.startswith(("http://", "https://")):
        raise CallerError(
            f"{base[:100]!r} is not a URL with http or https",
            where="GOVERNANCE_REVIEW_API_BASE",
            hint="the base of the model's server, such as http://127.0.0.1:11434/v1",
        )
    fallbacks = [name.strip() for name in settings.text("review_fallbacks").split(",")]
    return Endpoint(
        client=client,
        models=(settings.text("review_model"), *(name for name in fallbacks if name)),
        api_base=base,
        key_file=settings.text("review_api_key_file"),
        timeout_ms=settings.number("review_timeout_ms"),
        answer_tokens=settings.number("review_answer_tokens"),
    )


class Reviews:
    """Reviews by the configured models."""

    def __init__(
        self,
        settings: Settings,
        line: Pipeline,
        store: ReviewStore,
        worker: Worker,
        budget: Budget,
        spec_of: Callable[[str], Json],
        say: Callable[[str], None],
    ) -> None:
        """`spec_of` gives the spec in force of an app; `say` takes progress in words."""
        self._endpoint = endpoint_of(settings)
        self._most_bytes = settings.number("review_max_bytes")
        self._prices = prices_of(settings)
        self._budget = budget
        self._line, self._store, self._worker = line, store, worker
        self._spec_of = spec_of
        self._say = say

    def run(self, request: Request, *, account: str = "") -> Outcome:
        """Have a design reviewed. Raises RecordNotDurable or DependencyError where that cannot be recorded or counted.

        `account`: whose budget pays, the request's tenant where empty. A design that was reviewed is not asked about again:
        whoever could ask until nothing is found would have a review that loosens.
        """
        stored = self._store.get(request)
        if stored is not None:
            self._say(f"reviewed before by {stored['model']}, record {stored['review_id']}")
            return Outcome("done", "", stored["findings"], stored["model"], stored["review_id"], _NOTHING, True)
        asking = _Asking(request, account or request.tenant, new_decision_id(), utc_now()[:7])
        safe, hidden = without_personal_data(request)
        if safe is None:
            return self._unavailable(asking, "personal data could not be masked")
        changed = scrubbed(list(changes(self._spec_of(str(request.app.get("name", ""))), request)), hidden)
        prompt = prompt_for(request.kind, design_in(safe), changed)
        if prompt.size > self._most_bytes:
            return self._unavailable(asking, "oversized question")
        most = self._prices.of(prompt.size // 2, self._endpoint.answer_tokens)
        most = Spent(most.tokens * len(self._endpoint.models), most.microcents * len(self._endpoint.models))
        if not self._budget.take(asking.account, asking.month, most):
            return self._unavailable(asking, "budget used up")
        return self._ask(asking, prompt, most, len(hidden))

    def _ask(self, asking: _Asking, prompt: Prompt, most: Spent, hidden: int) -> Outcome:
        sent = {
            "sent_digest": prompt.digest,
            "sent_bytes": prompt.size,
            "sent_to": _host(self._endpoint),
            "models": list(self._endpoint.models),
            "masked": hidden,
        }
        self._line.reviewed(asking.request, {"phase": "asked", **sent}, [], asking.review_id)
        self._say(f"{prompt.size} bytes, {hidden} values masked, to {sent['sent_to']}")
        used, tried, reply = _NOTHING, [], None
        for outcome, model in zip(
            self._worker.ask(self._endpoint, prompt.messages), self._endpoint.models, strict=False
        ):
            word = "answered" if isinstance(outcome, Reply) else outcome.reason
            self._say(f"{model}: {word}")
            tried.append({"model": model, "outcome": word})
            used = _plus(used, self._use(prompt, outcome))
            reply = outcome if isinstance(outcome, Reply) else None
        self._budget.settle(asking.account, asking.month, most, used)
        about = {**sent, "tried": tried, "tokens": used.tokens, "microcents": used.microcents}
        if reply is None:
            return self._unavailable(asking, tried[-1]["outcome"], about, used)
        try:
            findings = findings_in(reply.content, asking.request.resource, prompt.canary)
        except BadAnswer as bad:
            return self._unavailable(asking, bad.reason, about, used)
        about |= {"phase": "answered", "outcome": "done", "model": reply.model, "count": len(findings)}
        self._line.reviewed(asking.request, about, findings, asking.review_id)
        kept = {"findings": findings, "model": reply.model, "review_id": asking.review_id}
        self._store.put(asking.request, kept)
        return Outcome("done", "", findings, reply.model, asking.review_id, used)

    def _unavailable(
        self, asking: _Asking, reason: str, about: dict[str, Json] | None = None, used: Spent = _NOTHING
    ) -> Outcome:
        public = {**(about or {"tokens": 0, "microcents": 0}), "phase": "answered", "outcome": "unavailable"}
        self._line.reviewed(asking.request, {**public, "reason": reason}, [], asking.review_id)
        return Outcome("unavailable", reason, [], "", asking.review_id, used)

    def _use(self, prompt: Prompt, outcome: Reply | ModelFailed) -> Spent:
        """What one try is charged: what the server says, but never less than a cautious guess; all of a guess if it failed."""
        if not isinstance(outcome, Reply):
            return self._prices.of(prompt.size // 3, 0)
        question = _charged(outcome.prompt_tokens, prompt.size)
        answer = _charged(outcome.answer_tokens, len(outcome.content))
        spent = self._prices.of(question, answer)
        return spent if outcome.cost_microcents < 0 else spent._replace(microcents=outcome.cost_microcents)


class _Asking(NamedTuple):
    request: Request
    account: str
    review_id: str
    month: str


def _charged(said: int, characters: int) -> int:
    return characters // 3 if said < 0 else max(said, characters // 8)


def _plus(one: Spent, other: Spent) -> Spent:
    return Spent(one.tokens + other.tokens, one.microcents + other.microcents)


def _host(endpoint: Endpoint) -> str:
    from urllib.parse import urlsplit

    return (urlsplit(endpoint.api_base).hostname or "") if endpoint.api_base else f"litellm:{endpoint.models[0]}"


def without_personal_data(request: Request) -> tuple[Json | None, tuple[str, ...]]:
    """(the resource with personal data and secrets masked, the values that were taken out); None where some remain.

    Names of members count here as hints, as they do in a flow of data: what leaves for a model is one.
    """
    as_flow = request._replace(kind="data_flow")
    plain, hidden = masked(request.resource, ScanFacts().facts(as_flow))
    safe = scrubbed(plain, hidden)
    left = ScanFacts().facts(as_flow._replace(resource=safe))
    for finding in (*left["pii"], *left["secrets"]):
        value = _at(safe, finding["pointer"])
        if "member" in finding or not (isinstance(value, str) and value.startswith("[") and value.endswith("]")):
            return None, hidden
    return safe, hidden


def _at(value: Json, pointer: str) -> Json:
    for segment in to_segments(pointer):
        value = value[int(segment)] if isinstance(value, list) else value[segment]
    return value


def changes(before: Json, request: Request) -> Iterator[str]:
    """Pointers of what a deploy changes against the spec in force, at most fifty; none for what was not there before."""
    if request.kind != "deploy" or not before:
        return
    after = request.resource.get("spec")
    todo: list[tuple[tuple[str | int, ...], Json, Json]] = [(("spec",), before, after)]
    count = 0
    while todo and count < _MOST_CHANGES:
        path, old, new = todo.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            todo += [((*path, key), old.get(key), new.get(key)) for key in sorted({*old, *new}, reverse=True)]
        elif old != new:
            count += 1
            yield to_pointer(path)
