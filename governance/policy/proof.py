"""The proof that the fast executor answers as the interpreter does: over a bundle's cases, and over their mutants.

A mutant is an input with one node dropped or replaced by null, [], {}, or a value of another type. Recorded inputs alone
miss what mutants find: an input that lacks a member is where the executors are known to part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.errors import BadBundle
from governance.policy.compiler.eligible import needed_trees
from governance.policy.engine import Engine
from governance.policy.rego.parser import parse_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from governance.model.request import Json
    from governance.policy.compiler.compiled import CompiledPolicy
    from governance.policy.rego.syntax import Module as Tree

# Per entry point; about 1,500 pairs a second, and every node of every case is reached over the cases together.
MOST_PAIRS = 500
_REPLACEMENTS: tuple[Json, ...] = (None, [], {}, "", 0, True)
_DROPPED = object()
_Path = tuple[str | int, ...]


def proved(compiled: CompiledPolicy, corpus: Sequence[Json]) -> tuple[str, ...]:
    """The entry points that gave equal answers on every input of `corpus` for their kind and on its mutants.

    An entry point that no input exercises is not proved, and the interpreter serves it.
    """
    if not compiled.program:
        return ()
    trees = [parse_module(text, path) for path, text in compiled.modules]
    return tuple(path for path in compiled.fast if _agrees(compiled, trees, path, corpus))


def _agrees(compiled: CompiledPolicy, trees: Sequence[Tree], path: str, corpus: Sequence[Json]) -> bool:
    kind = path.rsplit(".", 1)[-1]
    inputs = [document for document in corpus if isinstance(document, dict) and document.get("kind") == kind]
    if not inputs:
        return False
    # Every rule that is loaded costs the interpreter time at every question, asked for or not: only what answers is loaded.
    files = {tree.file for tree in needed_trees(trees, [path])}
    engine = Engine(compiled._replace(modules=tuple(row for row in compiled.modules if row[0] in files)))
    share = max(1, MOST_PAIRS // len(inputs))
    for document in inputs:
        if not _same(engine, path, document):
            return False
        places = list(_changes(document))
        step = max(1, len(places) // share)
        # Only those that are asked about are made: a copy of a document costs as much as an answer.
        if not all(_same(engine, path, _changed(document, *change)) for change in places[::step]):
            return False
    return True


def _same(engine: Engine, path: str, document: Json) -> bool:
    """Equal JSON values; an error on the fast side is no difference, since the interpreter then serves."""
    slow, fast = engine.compare(path, json.dumps(document))
    if fast == "error":
        return True
    if slow == fast or slow is None or fast is None or slow == "error":
        return slow == fast
    return bool(canonical_sets(json.loads(slow)) == canonical_sets(json.loads(fast)))


def canonical_sets(value: Json) -> Json:
    """`value` with arrays sorted: a set comes out as an array in an order of the executor's own."""
    if isinstance(value, list):
        return sorted((canonical_sets(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {key: canonical_sets(item) for key, item in value.items()}
    return value


def mutants(document: Json) -> Iterator[Json]:
    """`document` with one node changed, for every node and every replacement of another type."""
    for change in _changes(document):
        yield _changed(document, *change)


def _changes(document: Json) -> Iterator[tuple[_Path, Json]]:
    for path in _paths(document):
        yield path, _DROPPED
        for value in _REPLACEMENTS:
            yield path, value


def _paths(value: Json, path: _Path = ()) -> Iterator[_Path]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _changed(document: Json, path: _Path, value: Json) -> Json:
    copy = json.loads(json.dumps(document))
    place = copy
    for segment in path[:-1]:
        place = place[segment]
    if value is _DROPPED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


def corpus_of(files: Mapping[str, bytes]) -> list[Json]:
    """The inputs of a bundle's readable cases (`tests/cases/**/*.yaml`); empty where it has none."""
    import yaml

    from governance.policy.bundle_yaml import refuse_deep

    found: list[Json] = []
    for name, raw in sorted(files.items()):
        if name.startswith("tests/cases/") and name.endswith(".yaml"):
            try:
                refuse_deep(raw)
                cases = yaml.load(raw, Loader=yaml.CSafeLoader)
            except yaml.YAMLError as error:
                raise BadBundle("not YAML", where=name) from error
            rows = cases if isinstance(cases, list) else []
            found += [case["input"] for case in rows if isinstance(case, dict) and "input" in case]
    return found
