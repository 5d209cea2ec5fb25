"""The line: normalise → enrich → decide → record → enforce.

Entry points normalise (they know what came in) and hand a `Request` to `Pipeline.decide`. It returns a decision only
after the record is durable; when it raises, nothing was permitted. `assess` stops before the record and is for advice
that permits nothing: `governance check`, previews, the proof of a fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from governance.enrich.port import enrich_all
from governance.enrich.scan import ScanFacts, findings_beside, masked_texts, without_findings
from governance.errors import DependencyError, GovernanceError, NoAnswer, Overtaken, RecordNotDurable
from governance.masking import NOT_SCANNED
from governance.model.moment import new_decision_id, utc_now
from governance.normalise.requests import query_request
from governance.policy.decide import Moment, decide, refusal
from governance.policy.explain import with_proved_fixes
from governance.policy.log_mask import has_masks, masks_for
from governance.policy.query import ask
from governance.policy.waivers import used_waivers
from governance.record import (
    entry_of,
    entry_of_correction,
    entry_of_query,
    entry_of_refusal,
    entry_of_review,
    event_of,
    with_masks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from audit.record import Entry, Receipt
    from governance.enrich.port import Enricher
    from governance.model.decision import Answer, Decision
    from governance.model.facts import Facts
    from governance.model.request import Json, Request, Source
    from governance.policy.active import Active
    from governance.policy.metadata import RuleMeta
    from governance.policy.waivers import Waiver

    Evaluate = Callable[[Active, str, Json], Answer | NoAnswer]


class Recorder(Protocol):
    """The audit log as the line sees it: an entry that was accepted is durable."""

    def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable; raise otherwise."""

    async def aappend(self, entry: Entry) -> Receipt:
        """The same without blocking the event loop."""


class Enforcement(Protocol):
    """What happens after a recorded yes."""

    def carry_out(self, request: Request, facts: Facts, decision: Decision) -> None:
        """Make the decision effective; raise when that fails, Overtaken where the facts are no longer true."""


class _NoSpan:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NO_SPAN = _NoSpan()


def _unobserved(_stage: str) -> AbstractContextManager[None]:
    return _NO_SPAN


def _unwatched(_request: Request) -> AbstractContextManager[None]:
    return _NO_SPAN


def _unfollowed(_request: Request, _facts: Facts, _decision: Decision) -> None:
    """Where nobody waits for what was decided."""


def _unkept(_active: Active) -> None:
    """Where nothing is recorded, nothing has to be kept."""


class Parts(NamedTuple):
    """The real parts a line is made of; `governance.wiring` picks them."""

    active: Callable[[], Active]
    """The bundle in force now; asked once a decision, so that a swap never splits one."""
    enrichers: Sequence[Enricher]
    rebuild: Callable[[Request, Json], Request]
    """Normalises a changed resource again, for proving a fix."""
    recorder: Recorder | None = None
    """None only where nothing can be permitted (`check`)."""
    enforcement: Enforcement | None = None
    waivers: Callable[[], Sequence[Waiver]] = tuple
    clock: Callable[[], str] = utc_now
    new_id: Callable[[], str] = new_decision_id
    stage: Callable[[str], AbstractContextManager[None]] = _unobserved
    keep: Callable[[Active], None] = _unkept
    """Called before every record: the policy that decided has to be there when somebody decides again. May raise OSError."""
    follow: Callable[[Request, Facts, Decision], None] = _unfollowed
    """Called after every record of a decision, before the answer; changes nothing of it, and never raises."""
    watch: Callable[[Request], AbstractContextManager[None]] = _unwatched
    """Around every evaluation: a service bounds its time and notes what is in flight."""


class Assessed(NamedTuple):
    """A decision with the facts it was made on, before anything was recorded."""

    decision: Decision
    facts: Facts
    active: Active
    """What decided."""
    waivers: Sequence[Waiver]
    """Those that were in force; most decisions use none."""

    def _used(self) -> list[Json]:
        return used_waivers(self.decision, self.waivers)

    def entry(self, request: Request) -> Entry:
        """The record of it."""
        used = [{**one, **masked_texts({"reason": one["reason"], "ticket": one["ticket"]})} for one in self._used()]
        try:
            beside = findings_beside(request)
        except GovernanceError:
            # Nobody could look into it, so none of it is kept; the digest says which request it was.
            request = request._replace(context={"context": NOT_SCANNED}, subject={"id": request.subject.get("id")})
            beside = (NOT_SCANNED,)
        return entry_of(request, self.facts, self.decision, used, beside)


class Pipeline:
    """The five stages in order."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looked_at: Active | None = None
        self._has_masks = False

    def knowing(self, enricher: Enricher) -> Pipeline:
        """The same line with one more source of facts, for a request that somebody else's facts do not fit."""
        line = Pipeline(self._parts._replace(enrichers=[*self._parts.enrichers, enricher]))
        line._looked_at, line._has_masks = self._looked_at, self._has_masks
        return line

    @property
    def rules(self) -> Mapping[str, RuleMeta]:
        """What is said about each rule in force, by id."""
        return self._parts.active().rules

    @property
    def revision(self) -> str:
        """Of the bundle in force."""
        return self._parts.active().revision

    def decide(self, request: Request) -> Decision:
        """Decide, record, enforce. Raises RecordNotDurable without a durable record: then nothing is permitted.

        A yes that another decision overtook, or that could not be carried out (DependencyError), has a second record, a no that
        names the one it corrects.
        """
        assessed = self.assess(request)
        entry = self._entry(request, assessed)
        with self._parts.stage("record"):
            self._keep(assessed.active)
            self._append(entry)
        self._parts.follow(request, assessed.facts, assessed.decision)
        decision, failure = self._enforce(request, assessed)
        if decision is not assessed.decision:
            self._append(entry_of_correction(entry, decision))
        if failure is not None:
            raise failure
        return decision

    async def adecide(self, request: Request) -> Decision:
        """As `decide`, without blocking the event loop while the disk makes the record durable."""
        assessed = self.assess(request)
        entry = self._entry(request, assessed)
        with self._parts.stage("record"):
            self._keep(assessed.active)
            await self._aappend(entry)
        self._parts.follow(request, assessed.facts, assessed.decision)
        decision, failure = self._enforce(request, assessed)
        if decision is not assessed.decision:
            await self._aappend(entry_of_correction(entry, decision))
        if failure is not None:
            raise failure
        return decision

    def assess(self, request: Request, *, is_proving: bool = True) -> Assessed:
        """Enrich and decide only: advice, which permits nothing and leaves no record.

        Not `is_proving`: without the fixes, each of which is another evaluation, for who does not show them.
        """
        parts = self._parts
        active = parts.active()
        waivers = parts.waivers()
        moment = Moment(parts.clock(), parts.new_id(), request.source.trace_id)
        with parts.watch(request):
            return self._assessed(active, request, moment, waivers, is_proving=is_proving)

    def _assessed(
        self, active: Active, request: Request, moment: Moment, waivers: Sequence[Waiver], *, is_proving: bool
    ) -> Assessed:
        parts = self._parts
        with parts.stage("enrich"):
            facts = enrich_all(request, parts.enrichers)
        with parts.stage("decide"):
            verdict = decide(active, request, facts, moment, waivers)
        if not verdict.candidates or not is_proving:
            return Assessed(verdict.decision, facts, active, waivers)

        def again(resource: Json) -> Decision:
            changed = parts.rebuild(request, resource)
            return decide(active, changed, enrich_all(changed, parts.enrichers), moment, waivers).decision

        with parts.stage("explain"):
            decision = with_proved_fixes(verdict, request.resource, again)
            return Assessed(decision, facts, active, waivers)

    async def aquery(
        self, path: str, document: Json, source: Source, *, evaluate: Evaluate = ask
    ) -> tuple[str, Answer]:
        """The value of any rule of any bundle for an input, recorded: (decision id, answer). Raises NoAnswer, recorded too.

        This is what OPA's Data API asks. It goes without enrichment, since the caller brings the whole input. `evaluate`: how
        the answer is found, for a question that is not the value of one path.
        """
        parts = self._parts
        request = query_request(path, document, source)
        active, decision_id = parts.active(), parts.new_id()
        with parts.watch(request), parts.stage("decide"):
            outcome = evaluate(active, path, document)
        with parts.stage("record"):
            found = enrich_all(request, [ScanFacts()]).values
            entry = entry_of_query(request, found, outcome, active.revision, decision_id=decision_id, now=parts.clock())
            await self._aappend(self._masked(request, active, entry))
        if isinstance(outcome, NoAnswer):
            try:
                raise outcome
            finally:
                # The error holds this frame, and the frame the policy: together they would outlive a change of it.
                del outcome
        return decision_id, outcome

    def preview(self, request: Request) -> Entry:
        """What would be recorded of a request, the operator's masks applied; nothing is."""
        return self._entry(request, self.assess(request))

    def _entry(self, request: Request, assessed: Assessed) -> Entry:
        return self._masked(request, assessed.active, assessed.entry(request))

    def _masked(self, request: Request, active: Active, entry: Entry) -> Entry:
        """The entry as the masks of the bundle in force leave it; most bundles have none, and pay nothing."""
        if self._looked_at is not active:
            self._looked_at, self._has_masks = active, has_masks(active)
        if not self._has_masks:
            return entry
        with self._parts.watch(request), self._parts.stage("mask"):
            return with_masks(entry, masks_for(active, event_of(entry)))

    def refuse(self, source: Source, error: GovernanceError, body_digest: str = "") -> str:
        """Record a question that could not be understood; returns the id of the refusal."""
        entry = self._refusal(source, error, body_digest)
        self._append(entry)
        return str(entry.public["decision_id"])

    async def arefuse(self, source: Source, error: GovernanceError, body_digest: str = "") -> str:
        """As `refuse`, without blocking the event loop."""
        entry = self._refusal(source, error, body_digest)
        await self._aappend(entry)
        return str(entry.public["decision_id"])

    def reviewed(self, request: Request, about: dict[str, Json], findings: Json, review_id: str) -> None:
        """Record a question to a model about a design, or its answer. Raises RecordNotDurable: then neither counts."""
        entry = entry_of_review(request, about, findings, review_id=review_id, now=self._parts.clock())
        self._append(self._masked(request, self._parts.active(), entry))

    def _refusal(self, source: Source, error: GovernanceError, body_digest: str) -> Entry:
        parts = self._parts
        # An error quotes what was wrong, and that may be what no record holds.
        reason = without_findings(str(error))
        return entry_of_refusal(
            source, error, reason, decision_id=parts.new_id(), now=parts.clock(), body_digest=body_digest
        )

    def _keep(self, active: Active) -> None:
        try:
            self._parts.keep(active)
        except OSError as error:
            raise _not_durable(error) from error

    def _append(self, entry: Entry) -> None:
        try:
            self._recorder().append(entry)
        except GovernanceError:
            raise
        except Exception as error:  # the outermost edge towards the disk: whatever it was, nothing may be permitted
            raise _not_durable(error) from error

    async def _aappend(self, entry: Entry) -> None:
        try:
            await self._recorder().aappend(entry)
        except GovernanceError:
            raise
        except Exception as error:  # as above
            raise _not_durable(error) from error

    def _recorder(self) -> Recorder:
        if self._parts.recorder is None:
            raise RecordNotDurable("this line has no audit log", hint="only advice (`assess`) can be had from it")
        return self._parts.recorder

    def _enforce(self, request: Request, assessed: Assessed) -> tuple[Decision, DependencyError | None]:
        """The decision that was carried out; another one, a no, where it was not, and the error that kept it from being."""
        parts, decision = self._parts, assessed.decision
        if parts.enforcement is None or not decision.is_allowed or request.dry_run:
            return decision, None
        try:
            with parts.stage("enforce"):
                parts.enforcement.carry_out(request, assessed.facts, decision)
        except Overtaken as error:
            return self._instead_of(request, assessed, error), None
        except (OSError, DependencyError) as error:
            failure = DependencyError(
                f"decision {decision.decision_id} was recorded but could not be carried out: {error}",
                hint="nothing was permitted; mend that and ask again",
            )
            failure.__cause__ = error
            return self._instead_of(request, assessed, failure), failure
        return decision, None

    def _instead_of(self, request: Request, assessed: Assessed, error: GovernanceError) -> Decision:
        parts, decision = self._parts, assessed.decision
        moment = Moment(parts.clock(), parts.new_id(), decision.trace_id)
        return refusal(decision.revision, request, assessed.facts, moment, error)


def _not_durable(error: Exception) -> RecordNotDurable:
    return RecordNotDurable(
        f"the decision's record could not be made durable: {error}", hint="nothing was permitted; see `audit/README.md`"
    )
