"""A ConstraintTemplate: its Rego moved to packages of its own, so that no two templates share a library by accident.

The template itself goes to `gatekeeper.templates.<kind>`, a library `lib.x` to `gatekeeper.libs.<kind>.x`, and
`data.inventory` is read from `data.gatekeeper.inventory`. Anything else below `data` is refused, as Gatekeeper refuses it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import RuleError
from governance.policy.compiler.compile import Module
from governance.policy.rego.parser import parse_module
from governance.policy.rego.printer import Printer
from governance.policy.rego.syntax import Call, Import, Ref, Scalar, Var
from governance.policy.rego.walk import rewritten, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json
    from governance.policy.rego.syntax import Module as Tree

API_GROUP = "templates.gatekeeper.sh/"
TARGET = "admission.k8s.gatekeeper.sh"
INVENTORY = ["gatekeeper", "inventory"]
_OUTSIDE = {
    "external_data": "asks an external data provider",
    "http.send": "asks the network",
}


class CannotImport(RuleError):
    """Something of Gatekeeper's that has no equal here; the text says what."""

    code = "cannot_import"


class Template(NamedTuple):
    """One template, ready to be asked."""

    kind: str
    """The kind of its constraints."""
    title: str
    description: str
    package: str
    """Dotted; its set `violation` is what constraints ask for."""
    modules: tuple[Module, ...]
    schema: Json
    """OpenAPI schema of the constraints' parameters, None where it has none."""
    keeps_unknown: bool
    """A legacy schema: parameters that it does not name are kept."""
    reads_inventory: bool
    where: str


def read_template(document: Json, where: str) -> Template:
    """Raises CannotImport for what is no template or cannot be one here."""
    spec = member(document, "spec", where)
    names = member(member(member(spec, "crd", where), "spec", where), "names", where)
    kind = names.get("kind")
    metadata = member(document, "metadata", where)
    if not isinstance(kind, str) or not kind.isidentifier() or metadata.get("name") != kind.lower():
        raise CannotImport(
            "spec.crd.spec.names.kind has to be a word, and metadata.name the same in lower case", where=where
        )
    source = _source_of(spec, where)
    slug = kind.lower()
    modules = [_moved(_text(source, "rego", where), slug, where, is_library=False)]
    libraries = source.get("libs") or []
    if not isinstance(libraries, list) or not all(isinstance(text, str) for text in libraries):
        raise CannotImport("libs is not a list of Rego texts", where=where)
    modules += [
        _moved(text, slug, f"{where} (library {index + 1})", is_library=True) for index, text in enumerate(libraries)
    ]
    validation = spec["crd"]["spec"].get("validation") or {}
    annotations = metadata.get("annotations") or {}
    return Template(
        kind=kind,
        title=str(annotations.get("metadata.gatekeeper.sh/title") or kind),
        description=" ".join(str(annotations.get("description") or "").split()),
        package=f"gatekeeper.templates.{slug}",
        modules=tuple(_printed(tree, slug, index) for index, tree in enumerate(modules)),
        schema=validation.get("openAPIV3Schema"),
        keeps_unknown=validation.get("legacySchema") is True,
        reads_inventory=any(_reads_inventory(tree) for tree in modules),
        where=where,
    )


def member(owner: Json, name: str, where: str) -> dict[str, Json]:
    """A member that is an object. Raises CannotImport."""
    value = owner.get(name) if isinstance(owner, dict) else None
    if not isinstance(value, dict):
        raise CannotImport(f"{name} has to be an object", where=where)
    return value


def _text(owner: Mapping[str, Json], name: str, where: str) -> str:
    value = owner.get(name)
    if not isinstance(value, str) or not value.strip():
        raise CannotImport(f"{name} has to be Rego text", where=where)
    return value


def _source_of(spec: Json, where: str) -> Mapping[str, Json]:
    """The Rego of the one target; `code` is newer than `rego` and wins, as in Gatekeeper."""
    targets = spec.get("targets")
    if not isinstance(targets, list) or len(targets) != 1 or not isinstance(targets[0], dict):
        raise CannotImport("exactly one target is needed", where=where)
    target = targets[0]
    if target.get("target") != TARGET:
        raise CannotImport(f"target {str(target.get('target'))[:60]!r} is not {TARGET}", where=where)
    codes = target.get("code") or []
    engines = [code.get("engine") for code in codes if isinstance(code, dict)]
    for code in codes:
        if isinstance(code, dict) and code.get("engine") == "Rego":
            return _with_version(member(code, "source", where), where)
    if engines:
        raise CannotImport(
            f"written for {', '.join(map(str, engines))} only, and there is no CEL engine here",
            where=where, hint="ValidatingAdmissionPolicy runs CEL in the API server itself",
        )  # fmt: skip
    return {"rego": target.get("rego"), "libs": target.get("libs"), "version": "v0"}


def _with_version(source: dict[str, Json], where: str) -> Mapping[str, Json]:
    version = source.get("version", "v0")
    if version not in {"v0", "v1", ""}:
        raise CannotImport(f"Rego version {str(version)[:20]!r} is not known", where=where)
    return source


def _moved(text: str, slug: str, where: str, *, is_library: bool) -> Tree:
    try:
        tree = parse_module(text, where, is_v0=True)
    except RuleError as error:
        raise CannotImport(f"its Rego does not parse: {error}", where=where) from error
    if is_library:
        if tree.package[:1] != ["lib"] or len(tree.package) < 2:
            raise CannotImport("a library's package has to be `lib.<name>`", where=where)
        tree.package = ["gatekeeper", "libs", slug, *tree.package[1:]]
    else:
        tree.package = ["gatekeeper", "templates", slug]
        if not any(isinstance(r.head.ref[0], Var) and r.head.ref[0].name == "violation" for r in tree.rules):
            raise CannotImport("there is no rule `violation`", where=where)
    tree.imports = [_import(entry, slug, where) for entry in tree.imports]
    mover = _Mover(slug, where)
    tree.rules = [rewritten(rule, mover.change, heads=False) for rule in tree.rules]
    return tree


def _import(entry: Import, slug: str, where: str) -> Import:
    if entry.path[0] != "data":
        return entry
    # The short name stays what it was.
    return Import(["data", *_place(entry.path[1:], slug, where)], entry.alias or entry.path[-1], entry.line)


def _place(path: Sequence[str], slug: str, where: str) -> list[str]:
    """Where `data.<path>` has gone."""
    if path[:1] == ["inventory"]:
        return [*INVENTORY, *path[1:]]
    if path[:1] == ["lib"] and len(path) > 1:
        return ["gatekeeper", "libs", slug, *path[1:]]
    name = ".".join(["data", *path[:1]])
    raise CannotImport(f"{name} is neither data.lib nor data.inventory, and a template sees nothing else", where=where)


class _Mover:
    """Rewrites every reference to `data` in a tree."""

    def __init__(self, slug: str, where: str) -> None:
        self._slug, self._where = slug, where

    def change(self, node: Any) -> Any:
        """A node with what it names moved."""
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, Ref) and isinstance(node.head, Var) and node.head.name == "data*":
            return self._reference(node)
        if isinstance(node, Ref) and isinstance(node.head, Ref):
            return Ref(node.head.head, [*node.head.args, *node.args], node.line, node.column)
        if isinstance(node, Var) and node.name == "data":
            # Innermost first: marked here, so that a reference above can be told from `data` alone.
            return Var("data*", node.line, node.column)
        return node

    def _call(self, call: Call) -> Call:
        if call.name in _OUTSIDE:
            raise CannotImport(f"{call.name} {_OUTSIDE[call.name]}", where=f"{self._where}, line {call.line}")
        head, _, rest = call.name.partition(".")
        if head == "data":
            call.name = ".".join(["data", *_place(rest.split("."), self._slug, self._where)])
        return call

    def _reference(self, ref: Ref) -> Ref:
        names: list[str] = []
        for argument in ref.args[:2]:
            if not isinstance(argument, Scalar) or argument.text[:1] != '"':
                break
            names.append(str(json.loads(argument.text)))
        moved = _place(names, self._slug, self._where)
        arguments = [Scalar(json.dumps(name)) for name in moved]
        return Ref(Var("data", ref.line, ref.column), [*arguments, *ref.args[len(names) :]], ref.line, ref.column)


def _reads_inventory(tree: Tree) -> bool:
    paths = [entry.path[1:3] for entry in tree.imports if entry.path[0] == "data"]
    terms = [term for rule in tree.rules for term in terms_of_rule(rule)]
    places = [t for t in terms if isinstance(t, Ref) and isinstance(t.head, Var) and t.head.name == "data"]
    paths += [[json.loads(a.text) for a in place.args[:2] if isinstance(a, Scalar)] for place in places]
    return INVENTORY in paths


def _printed(tree: Tree, slug: str, index: int) -> Module:
    for rule in tree.rules:
        for term in terms_of_rule(rule):
            if isinstance(term, Var) and term.name == "data*":
                raise CannotImport("`data` as a whole is not for templates", where=tree.file)
    path = f"gatekeeper/templates/{slug}.rego" if index == 0 else f"gatekeeper/libs/{slug}/{index}.rego"
    return Module(path, Printer().module(tree))
