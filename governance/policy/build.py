"""Building what serves: bundles to one compiled policy with its metadata, and the proof that both executors agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.errors import BadBundle
from governance.model.request import KINDS
from governance.policy.active import packed
from governance.policy.bundle import Bundle, files_of, load_bundle, owned_roots, refuse_overlap, united_data
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.compiler.entry import ENTRY_PACKAGE, RuleEntry, entry_module
from governance.policy.fingerprints import prints_of
from governance.policy.metadata import RuleMeta, metadata_of
from governance.policy.modes import ENFORCE
from governance.policy.proof import corpus_of, proved

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from governance.model.request import Json
    from governance.policy.active import Extra
    from governance.policy.compiler.compiled import CompiledPolicy

_KINDS = sorted(KINDS)
# Gatekeeper's own engine reads a builtin's error as undefined, and its templates were written for that.
TEMPLATE_PACKAGES = (("gatekeeper", "templates"), ("gatekeeper", "libs"))
# The package that we generate: whoever could add to it would answer for every rule.
_ENTRY = Bundle("the entry points", "", (ENTRY_PACKAGE.replace(".", "/"),), (), {})


def build(
    source: str,
    extras: Sequence[Extra],
    key: bytes = b"",
    *,
    is_own: bool = False,
    revision: str = "",
    only: Collection[str] | None = None,
) -> bytes:
    """The packed form of the bundle at `source` with `extras`; raises BadBundle or RuleError for what must not serve.

    `key`, `revision`: as for `compiled_bytes`; `is_own`: `source` is the pack that comes with this package. `only`: ids of the
    rules and obligations that the entry points ask, for an analysis; what serves asks all.
    """
    main = load_bundle(source, key=b"" if is_own else key)
    main = main._replace(revision=revision or main.revision)
    bundles = [main]
    if extras:
        bundles = [owned_roots(b) for b in (main, *(_extra(e, key) for e in extras))]
        refuse_overlap([*bundles, _ENTRY])
    rules = rules_of(*bundles)
    _refuse_obligations(bundles[1:])
    asked = rules if only is None else [meta for meta in rules if meta.id in only]
    compiled = compile_bundles(bundles, asked)
    compiled = compiled._replace(fast=proved(compiled, corpus_of(files_of(source))))
    name = main.revision if len(bundles) == 1 else "+".join(b.revision for b in bundles)
    modes = _modes(main, rules)
    return packed(name, rules, modes, compiled, prints_of(bundles, rules, modes))


def _extra(extra: Extra, key: bytes) -> Bundle:
    bundle = load_bundle(extra.path, v0=extra.v0, key=key)
    return bundle._replace(revision=extra.revision or bundle.revision)


def _modes(main: Bundle, rules: Sequence[RuleMeta]) -> Json:
    """What each rule starts with, under what the platform's own list says; no other bundle has a say in it."""
    own = main.data.get("platform", {}).get("modes", {}) if isinstance(main.data, dict) else {}
    _refuse_unknown(own, rules, main.name)
    started = {meta.id: {"mode": meta.mode} for meta in rules if meta.mode != ENFORCE}
    if not started or not isinstance(own, dict) or not isinstance(own.get("rules", {}), dict):
        return own
    return {**own, "rules": {**started, **own.get("rules", {})}}


def _refuse_unknown(modes: Json, rules: Sequence[RuleMeta], name: str) -> None:
    """A mode of a rule that is not there is a mistyped one: whoever wrote it believes it to count."""
    table = modes.get("rules") if isinstance(modes, dict) else None
    known = {meta.id for meta in rules if not meta.obligation_type}
    unknown = sorted(set(table) - known) if isinstance(table, dict) else []
    if unknown:
        raise BadBundle(
            f"a mode is said of the rule {unknown[0]!r}, which no bundle here has",
            where=f"{name}: data.platform.modes.rules",
            hint="`governance rules list` names the rules; leave the row or the PolicyMode out, or mend its id",
        )


def _refuse_obligations(extras: Sequence[Bundle]) -> None:
    """Another bundle may add rules, which can only object; what has to be done for a yes is ours to say."""
    for bundle in extras:
        for meta in rules_of(bundle):
            if meta.obligation_type:
                raise BadBundle("a bundle beside ours must not bring obligations", where=f"{bundle.name}/{meta.file}")


def rules_of(*bundles: Bundle) -> list[RuleMeta]:
    """Metadata of every rule and obligation; refuses an id that is used twice."""
    modules = [module for bundle in bundles for module in bundle.modules]
    found = [meta for module in modules if (meta := metadata_of(module.text, module.path)) is not None]
    seen: dict[str, RuleMeta] = {}
    for meta in found:
        if meta.id in seen:
            raise BadBundle(f"id {meta.id} is also used in {seen[meta.id].file}", where=f"{meta.file}:{meta.line}")
        seen[meta.id] = meta
    return sorted(found, key=lambda meta: (meta.obligation_type != "", meta.id))


def compile_bundles(bundles: Sequence[Bundle], rules: Sequence[RuleMeta]) -> CompiledPolicy:
    """One policy from all bundles and the generated entry module. Our own rules are strict: their errors are no answer."""
    entries = [RuleEntry(m.id, m.package, m.applies_to, m.obligation_type) for m in rules]
    modules = [module for bundle in bundles for module in bundle.modules]
    data = united_data(bundles)
    served = {kind for meta in rules if not meta.obligation_type for kind in meta.applies_to}
    # A module for each kind: one that the fast executor cannot serve does not keep the others from it.
    modules += [Module(f"<entry {kind}>", entry_module(entries, [kind])) for kind in sorted(served)]
    return compile_policy(
        modules,
        data=data,
        entrypoints=[f"data.{ENTRY_PACKAGE}.{kind}" for kind in _KINDS if kind in served],
        strict=bool(entries),
        lenient=len(bundles) > 1,
        lenient_packages=TEMPLATE_PACKAGES,
    )
