"""The one place that picks real parts. Everything heavy is imported by the function that needs it."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from governance.enrich.api_facts import ApiFacts
from governance.enrich.app_changes import AppChanges
from governance.enrich.apps import AppDirectory, AppFacts
from governance.enrich.design_review import DesignReviewFacts
from governance.enrich.events.facts import EventFacts
from governance.enrich.operation_facts import OperationFacts
from governance.enrich.pii.policy import scan_policy
from governance.enrich.presidio_worker import DeepScanner
from governance.enrich.registry_facts import RegistryFacts
from governance.enrich.scan import ScanFacts
from governance.enrich.schema import SchemaFacts
from governance.enrich.scope_facts import ScopeFacts
from governance.enrich.urls import UrlFacts
from governance.errors import CallerError, DependencyError, RuleError
from governance.log_wiring import open_reader, open_recorder, state_of
from governance.normalise.requests import changed
from governance.pipeline import Parts, Pipeline
from governance.platform.shipped_templates import shipped_templates
from governance.policy.active import Extra, activated, compiled_bytes
from governance.policy.kept import PolicyKeeper, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connectors_registry.load import Registry
    from governance.enrich.pii.policy import ScanPolicy
    from governance.enrich.port import Enricher
    from governance.enrich.review_store import ReviewStore
    from governance.model.request import Json
    from governance.pipeline import Recorder
    from governance.platform.bundles.keeper import Keeper, Plan
    from governance.platform.bundles.serving import Serving
    from governance.platform.connector_approvals import Approvals, Held
    from governance.platform.review_queue import ReviewQueue
    from governance.policy.active import Active
    from governance.policy.waivers import Waiver
    from governance.settings import Settings


_SCOPES_LOOK_BACK_DAYS = 31


def active_of(settings: Settings) -> Active:
    """The bundle that the settings name, ready to answer; see `packed_of`."""
    return activated(packed_of(settings))


def packed_of(settings: Settings) -> bytes:
    """The bundle that the settings name: folders here compiled or from the cache, others as the home has them.

    Where a bundle has to be fetched, or somebody has pinned a release, it is the release in force in this home; the first time
    it is fetched and put in force. Raises DependencyError where that is not possible.
    """
    named = settings.text("bundle") + settings.text("extra_bundles")
    if "://" in named or "git+" in named or _has_releases(settings):
        return _released(settings)
    return compiled_bytes(settings.text("bundle"), extras_of(settings), bundle_key=bundle_key_of(settings))


def has_a_bundle(settings: Settings) -> bool:
    """Whether the settings name a bundle beside the rules that come with the program, or a release is in force in this home."""
    return bool(settings.text("bundle") or settings.text("extra_bundles")) or _has_releases(settings)


def _has_releases(settings: Settings) -> bool:
    return os.path.exists(os.path.join(settings.text("home"), "bundles", "active.json"))


def _released(settings: Settings) -> bytes:
    plan, keeper = plan_of(settings), keeper_of(settings, lambda _: None)
    standing = keeper.shelf.standing()
    in_force = standing if standing is not None and standing.release.config == plan.config else None
    if not plan.has_remote and (in_force is None or not in_force.is_pinned):
        return compiled_bytes(settings.text("bundle"), extras_of(settings), bundle_key=plan.key)
    if in_force is None:
        release = keeper.first()
        if release is None:
            raise DependencyError("no bundle could be fetched", hint=f"{keeper.shelf.folder}/status.json says why")
        keeper.put_in_force(release, "first use")
        in_force = keeper.shelf.standing()
    packed = keeper.shelf.packed(in_force.release.id) if in_force is not None else None
    if packed is None:
        raise DependencyError(
            "the release in force is missing or was changed",
            where=str(keeper.shelf.folder),
            hint="fetch it again: serve",
        )
    return packed


def plan_of(settings: Settings) -> Plan:
    """Sources, terms and key as the settings have them; raises CallerError."""
    from governance.platform.bundles.keeper import Plan
    from governance.platform.bundles.sources import sources_of, terms_of

    key, timeout_s = bundle_key_of(settings), settings.number("bundle_build_timeout_s")
    return Plan(sources_of(settings), terms_of(settings), key, timeout_s)


def keeper_of(settings: Settings, say: Callable[[str], None]) -> Keeper:
    """The keeper of this home's releases; a change of policy is recorded before it is in force."""
    from governance.platform.bundles.keeper import Keeper

    return Keeper(
        plan_of(settings), settings.home, lambda public: record_change(settings, "bundle_activated", public), say
    )


def serving_of(settings: Settings) -> Serving:
    """What a worker serves: the release in force in this home, where it was made for these settings."""
    from governance.platform.bundles.serving import Serving

    plan = plan_of(settings)
    return Serving(settings.home, plan.sources, plan.config, plan.terms.max_age_s)


def record_change(
    settings: Settings, kind: str, public: dict[str, Json], sealed: dict[str, Json] | None = None
) -> None:
    """Record a change of policy from a process that has no line of its own; returns once it is durable, or raises."""
    from audit.record import Entry
    from governance.model.moment import new_decision_id, utc_now

    blank = {
        "decision_id": new_decision_id(),
        "entry_point": "bundles",
        "effect": "",
        "app": "",
        "tenant": "",
        "rules": [],
    }
    with open_recorder(settings) as recorder:
        recorder.append(Entry(kind, utc_now(), {**blank, **public}, sealed or {}))


def bundle_key_of(settings: Settings) -> bytes:
    """The key that bundles have to be signed with; empty where the settings name none. Raises CallerError."""
    path = settings.text("bundle_key")
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            key = file.read()
    except OSError as error:
        raise CallerError(
            f"cannot be read: {error.strerror}", where=path, hint="GOVERNANCE_BUNDLE_KEY names it"
        ) from error
    if not key.strip():
        raise CallerError("is empty", where=path, hint="an empty key file would switch verification off")
    return key


def extras_of(settings: Settings) -> list[Extra]:
    """Extra bundles: `path` or `v0:path`, comma-separated in one setting."""
    found = []
    for part in settings.text("extra_bundles").split(","):
        if part.strip():
            path = part.strip().removeprefix("v0:")
            found.append(Extra(path.strip(), v0=path != part.strip()))
    return found


def waivers_of(settings: Settings, active: Active) -> tuple[Waiver, ...]:
    """The waivers in the settings' folder and those that were made here. Raises RuleError for one that must not count."""
    from governance.platform.waivers import made_waivers
    from governance.policy.waivers import load_waivers

    folder = settings.text("waivers")
    named = load_waivers(folder, active.rules) if folder and os.path.isdir(folder) else ()
    return named + made_waivers(state_of(settings), active.rules)


def directory_of(settings: Settings) -> AppDirectory:
    """Apps and templates that decisions allowed, and the templates that come with the package."""
    return AppDirectory(state_of(settings), shipped_templates())


def registry_of(settings: Settings) -> Registry:
    """Connectors and tenants. Raises CallerError for a registry that must not be used."""
    from connectors_registry.load import BadEntry, load_registry

    try:
        return load_registry(settings.text("registry"))
    except (BadEntry, OSError) as error:
        raise CallerError(str(error), hint="connectors_registry/README.md says what an entry holds") from error


def approvals_of(settings: Settings) -> Approvals:
    """Who has agreed to which connector."""
    from governance.platform.connector_approvals import Approvals

    return Approvals(state_of(settings))


def shipped_connectors(active: Active) -> Json:
    """`{name: digest}` of the documents that come with a policy, approved."""
    return json.loads(active.compiled.data).get("platform", {}).get("connectors", {}).get("shipped", {})


def scan_policy_of(active: Callable[[], Active]) -> Callable[[], ScanPolicy]:
    """What the scanner looks for, from the data of the bundle in force; a wrong one raises, which denies."""
    known: tuple[Active, ScanPolicy] | None = None

    def current() -> ScanPolicy:
        nonlocal known
        now = active()
        if known is None or known[0] is not now:
            data = json.loads(now.compiled.data).get("platform", {})
            known = now, scan_policy(data.get("scanner"))
        return known[1]

    return current


def review_store_of(settings: Settings) -> ReviewStore | None:
    """What the configured models said about designs; None where no model is configured."""
    if not settings.text("review_model"):
        return None
    from governance.enrich.review_store import ReviewStore

    names = ("review_client", "review_api_base", "review_model", "review_fallbacks")
    return ReviewStore(state_of(settings), "\n".join(settings.text(name) for name in names))


def review_queue_of(settings: Settings) -> ReviewQueue | None:
    """Where designs wait for a review by a model; None where none is configured."""
    store = review_store_of(settings)
    if store is None:
        return None
    from governance.platform.review_queue import ReviewQueue

    return ReviewQueue(settings.home, store.key)


def enrichers_of(
    directory: AppDirectory,
    settings: Settings,
    active: Callable[[], Active] | None = None,
    registry: Registry | None = None,
    approvals: Held | None = None,
) -> list[Enricher]:
    """Every source of facts, in the order they are asked; without a bundle the scanner looks for all it knows.

    `registry`: the documents that whoever carries a decision out goes by as well; left out, they are read anew. `approvals`:
    in place of those that this home knows.
    """
    held = approvals_of(settings).held if approvals is None else lambda: approvals
    registry = registry or registry_of(settings)
    return [
        SchemaFacts(),
        AppFacts(directory, lambda app, tenant: is_held(settings, app, tenant)),
        ApiFacts(directory),
        RegistryFacts(registry.connectors, registry.tenants, directory.spec_of, held),
        UrlFacts(),
        OperationFacts(registry.connectors),
        ScopeFacts(lambda app: directory.last_good(app) is not None, lambda app: scope_use_of(settings, registry, app)),
        EventFacts(directory.app),
        ScanFacts() if active is None else ScanFacts(scan_policy_of(active), DeepScanner()),
        DesignReviewFacts(registry.connectors, review_store_of(settings)),
    ]


def scope_use_of(settings: Settings, registry: Registry, app: str) -> Json:
    """What the log says about the use of an app's scopes; nothing where there is no log yet."""
    from datetime import UTC, datetime, timedelta

    from governance.platform.scope_use import scope_use

    # A day more than the rule asks about, so that a whole period was looked at.
    since = (datetime.now(UTC) - timedelta(days=_SCOPES_LOOK_BACK_DAYS)).isoformat(timespec="seconds")
    try:
        log = open_reader(settings)
    except CallerError:
        return {"looked_since": since, "scopes": []}
    with closing(log):
        return scope_use(log, registry.connectors, app, since.replace("+00:00", "Z"))


def is_held(settings: Settings, app: str, tenant: str) -> bool:
    """Whether a legal hold of this log is on an app. Raises CallerError where there is no log to ask."""
    from governance.platform.legal_holds import is_on

    with closing(open_reader(settings)) as log:
        return is_on(log, app, tenant)


def connectors_by_host(registry: Registry) -> dict[str, str]:
    """The one connector that a host belongs to; a host of several is nobody's, and has to be named by who asks."""
    owners: dict[str, list[str]] = {}
    for name, entry in registry.connectors.items():
        for host in entry["hosts"]:
            owners.setdefault(host, []).append(name)
    return {host: names[0] for host, names in owners.items() if len(names) == 1}


def for_check(settings: Settings, approvals: Held | None = None) -> Pipeline:
    """A line that only advises: no log, no state of its own, and so nothing that could be permitted.

    `approvals`: of connectors, from the installation that is advised about; left out, those that this home knows.
    """
    active = active_of(settings)
    waivers = waivers_of(settings, active)
    return Pipeline(
        Parts(
            active=lambda: active,
            enrichers=enrichers_of(directory_of(settings), settings, lambda: active, approvals=approvals),
            rebuild=changed,
            waivers=lambda: waivers,
        )
    )


def parts_for(settings: Settings, active: Callable[[], Active], registry: Registry | None = None) -> Parts:
    """The parts of a line that permits, all but its recorder; `registry` as in `enrichers_of`."""
    directory = directory_of(settings)
    return Parts(
        active=active,
        enrichers=enrichers_of(directory, settings, active, registry),
        rebuild=changed,
        enforcement=AppChanges(state_of(settings)),
        keep=PolicyKeeper(settings.text("home")).keep,
    )


def policies_of(settings: Settings) -> Callable[[set[str]], dict[str, bytes]]:
    """Policies that served under some revisions, as files for an export."""
    return lambda revisions: kept(settings.text("home"), revisions)


def controls_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Rule id to the controls it serves, of the policy in force: what an OSCAL view names as reviewed."""
    return {meta.id: meta.controls for meta in active_of(settings).rules.values()}


def _taken_up(settings: Settings, active: Active, recorder: Recorder) -> tuple[Waiver, ...]:
    """As `waivers_of`, each of them on record; raises where one cannot be recorded."""
    from audit.errors import AuditError
    from governance.platform.excuses import Excuses, recorded_waivers
    from governance.platform.waivers import check_allowed

    excuses = Excuses(state_of(settings), settings.home, settings.text("waivers"))
    problems = excuses.refresh(active.rules)
    if problems:
        raise RuleError(problems[0])
    if not excuses.is_behind:
        return excuses.valid
    line = _without_waivers(settings, active, recorder)
    with excuses.alone(waits=True), closing(open_reader(settings)) as log:
        for change in excuses.changes(recorded_waivers(log)):
            question = change.question()
            if question is not None:
                check_allowed(line.decide(question))
            try:
                if change.entry is not None:
                    recorder.append(change.entry)
            except AuditError as error:
                raise DependencyError(f"a waiver cannot be recorded: {error}", where=change.label) from error
            excuses.settled(change)
    return excuses.valid


def _without_waivers(settings: Settings, active: Active, recorder: Recorder) -> Pipeline:
    return Pipeline(parts_for(settings, lambda: active)._replace(recorder=recorder))


@contextmanager
def about_waivers(settings: Settings) -> Iterator[Pipeline]:
    """The whole line for a question about a waiver, which none excuses."""
    with open_recorder(settings) as recorder:
        yield _without_waivers(settings, active_of(settings), recorder)


@contextmanager
def for_cli(settings: Settings, registry: Registry | None = None) -> Iterator[Pipeline]:
    """The whole line for one process, one decision after another; `registry` as in `enrichers_of`."""
    active = active_of(settings)
    with open_recorder(settings) as recorder:
        yield line_on(settings, recorder, registry, active)


def line_on(
    settings: Settings, recorder: Recorder, registry: Registry | None = None, active: Active | None = None
) -> Pipeline:
    """The whole line for whoever has the log open; `registry` as in `enrichers_of`."""
    in_force = active or active_of(settings)
    waivers = _taken_up(settings, in_force, recorder)
    parts = parts_for(settings, lambda: in_force, registry)
    return Pipeline(parts._replace(recorder=recorder, waivers=lambda: waivers))
