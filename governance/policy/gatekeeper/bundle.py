"""Templates and constraints to a bundle that serves beside the rule pack: one rule of ours for each constraint.

The rule asks whom the constraint looks at (`gatekeeper.match`), then asks the template with Gatekeeper's own `input`:
`review` and `parameters`. Its id is the constraint's kind and name, its mode the constraint's enforcement action.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.gatekeeper import constraint as constraints
from governance.policy.gatekeeper import template as templates
from governance.policy.gatekeeper.constraint import Constraint, read_constraint
from governance.policy.gatekeeper.template import CannotImport, Template, read_template
from governance.policy.locations import data_folder
from governance.policy.metadata import GATEKEEPER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json

ROOTS = ["gatekeeper"]
# Groups of Gatekeeper's that have no equal here, with what they are.
_OTHERS = {
    "mutations.gatekeeper.sh/": "a mutation; the webhook patches what obligations demand, nothing else",
    "expansion.gatekeeper.sh/": "an expansion of generator resources",
    "externaldata.gatekeeper.sh/": "an external data provider",
    "config.gatekeeper.sh/": "Gatekeeper's own configuration; name the synced objects with --inventory",
    "syncset.gatekeeper.sh/": "a list of what to sync; name the synced objects with --inventory",
    "connection.gatekeeper.sh/": "an export of audit results",
    "gatekeeper.sh/": "a file of Gatekeeper's tools",
}


class Source(NamedTuple):
    """One document of a file."""

    value: Json
    where: str
    """File and, where it holds several, the number of the document."""


class Imported(NamedTuple):
    """What could be imported, and what could not and why."""

    templates: tuple[Template, ...]
    constraints: tuple[Constraint, ...]
    refused: tuple[str, ...]
    """One line each."""
    inventory: Json


def import_documents(documents: Sequence[Source], inventory: Sequence[Source] | None) -> Imported:
    """Read every template and constraint. `inventory`: the cluster's objects, None where nobody named any."""
    refused: list[str] = []
    found = [
        t for source in documents if _is(source, templates.API_GROUP) and (t := _template(source, inventory, refused))
    ]
    by_kind = {template.kind: template for template in found}
    if len(by_kind) != len(found):
        twice = next(t for t in found if by_kind[t.kind] is not t)
        refused.append(f"{by_kind[twice.kind].where}: a second template {twice.kind}, beside {twice.where}")
    made: dict[str, Constraint] = {}
    for source in documents:
        if _is(source, constraints.API_GROUP):
            _constraint(source, by_kind, made, refused)
        elif not _is(source, templates.API_GROUP):
            refused += _other(source)
    return Imported(tuple(by_kind.values()), tuple(made.values()), tuple(refused), inventory_of(inventory or []))


def _template(source: Source, inventory: Sequence[Source] | None, refused: list[str]) -> Template | None:
    try:
        template = read_template(source.value, source.where)
        _check_inventory(template, inventory)
        compile_policy([_library(), *template.modules])
    except CannotImport as error:
        refused.append(str(error))
    except RuleError as error:
        refused.append(f"{source.where}: does not compile: {error}")
    else:
        return template
    return None


def _check_inventory(template: Template, inventory: Sequence[Source] | None) -> None:
    """A rule about other objects that knows none of them would never object."""
    if template.reads_inventory and inventory is None:
        raise CannotImport(
            "reads data.inventory, and no objects were named", where=template.where,
            hint="--inventory PATH names files of the cluster's objects, a snapshot that is renewed by importing again",
        )  # fmt: skip


def _constraint(source: Source, by_kind: dict[str, Template], made: dict[str, Constraint], refused: list[str]) -> None:
    template = by_kind.get(str(source.value.get("kind")))
    if template is None:
        kind = str(source.value.get("kind"))[:60]
        refused.append(f"{source.where}: there is no template {kind!r} that could be imported")
        return
    try:
        constraint = read_constraint(source.value, template, source.where)
    except CannotImport as error:
        refused.append(str(error))
        return
    if constraint.id in made:
        refused.append(f"{source.where}: {constraint.id} stands in {made[constraint.id].where} as well")
    made.setdefault(constraint.id, constraint)


def _other(source: Source) -> list[str]:
    group = str(source.value.get("apiVersion", "")) if isinstance(source.value, dict) else ""
    reason = next((text for name, text in _OTHERS.items() if name in group), "")
    return [f"{source.where}: {source.value.get('kind')} is {reason}"] if reason else []


def _is(source: Source, group: str) -> bool:
    return isinstance(source.value, dict) and str(source.value.get("apiVersion", "")).startswith(group)


def bundle_files(imported: Imported) -> dict[str, bytes]:
    """The bundle, file by file: it loads with `serve --bundle` and in OPA itself."""
    by_kind = {template.kind: template for template in imported.templates}
    modules = [_library(), *(module for template in imported.templates for module in template.modules)]
    modules += [_rule(constraint, by_kind[constraint.kind]) for constraint in imported.constraints]
    files = {module.path: module.text.encode() for module in modules}
    files["gatekeeper/data.json"] = _json({"inventory": imported.inventory})
    files[".manifest"] = _json({"roots": ROOTS, "rego_version": 1})
    return files


def _library() -> Module:
    path = os.path.join(data_folder("rules"), "extras", "gatekeeper", "match.rego")
    with open(path, encoding="utf-8") as file:
        return Module("gatekeeper/match.rego", file.read())


def _rule(constraint: Constraint, template: Template) -> Module:
    package = f"{GATEKEEPER_PREFIX}{constraint.kind.lower()}.{constraint.slug}"
    path = f"gatekeeper/constraints/{constraint.kind.lower()}/{constraint.slug}.rego"
    return Module(path, _RULE.format(
        meta=_metadata(constraint, template), package=package, template=template.package,
        match=_literal(constraint.match), parameters=_literal(constraint.parameters), id=_literal(constraint.id),
    ))  # fmt: skip


def _metadata(constraint: Constraint, template: Template) -> str:
    """The comment block; every text in JSON quotes, so that nobody's words can end the comment or add a member."""
    rows = [
        f"title: {_literal(template.title)}",
        f"description: {_literal(template.description or template.title)}",
        "custom:",
        f"  id: {constraint.id}",
        "  severity: high",
        f"  mode: {constraint.mode}",
        f"  applies_to: [{', '.join(constraint.applies_to())}]",
        f"  controls: [{_literal('Gatekeeper:' + constraint.kind)}]",
        f"  remediation: {_literal(f'Change the object as the message says; the constraint is {constraint.id}.')}",
    ]
    return "\n".join(["# METADATA", *(f"# {row}" for row in rows)])


_RULE = """{meta}
package {package}

import rego.v1

deny contains v if {{
	data.gatekeeper.match.selects(_match)
	some found in data.{template}.violation with input as {{"review": data.gatekeeper.match.review, "parameters": _parameters}}
	v := {{"path": ["resource"], "message": _message(found), "details": object.get(found, "details", {{}})}}
}}

deny contains v if {{
	data.gatekeeper.match.cannot_say(_match)
	v := {{"path": ["resource"], "message": sprintf(
		"%s selects by the labels of namespace %s, which are not known here.",
		[{id}, json.marshal(data.gatekeeper.match.namespace_name)],
	)}}
}}

_message(found) := found.msg if {{
	is_string(found.msg)
}} else := "The template found a violation and gave no message."

_match := {match}

_parameters := {parameters}
"""


def _literal(value: Json) -> str:
    return json.dumps(value, ensure_ascii=True)


def _json(value: Json) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode()


def inventory_of(sources: Sequence[Source]) -> dict[str, Json]:
    """Objects as Gatekeeper caches them: `cluster[version][kind][name]`, `namespace[ns][version][kind][name]`."""
    tree: dict[str, Json] = {"cluster": {}, "namespace": {}}
    for source in sources:
        value = source.value
        metadata = value.get("metadata") if isinstance(value, dict) else None
        names = [value.get("apiVersion"), value.get("kind"), metadata.get("name")] if isinstance(metadata, dict) else []
        if not names or not all(isinstance(name, str) and name for name in names):
            raise CannotImport("is no Kubernetes object with apiVersion, kind and a name", where=source.where)
        place = metadata.get("namespace") if isinstance(metadata, dict) else None
        node = tree["namespace"].setdefault(place, {}) if place else tree["cluster"]
        for name in names[:2]:
            node = node.setdefault(name, {})
        node[names[2]] = value
    return tree
