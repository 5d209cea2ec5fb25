"""The verifier as one file: the modules it is made of, one after the other, without the imports between them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import audit
from audit.errors import AuditError

# In an order in which each finds what it needs above it.
MODULES = (
    "errors", "canonical", "randomness", "record", "tree", "multiproof", "ed25519", "notes", "cosignature",
    "rotation", "packages", "proofs", "pruned", "sealed_texts",
    "walk", "exports/csv_view", "exports/plain_views", "verify", "show",
)  # fmt: skip
_HEAD = '''#!/usr/bin/env python3
"""Checks an export of an audit log. Needs Python 3.11 or newer and nothing else, neither network nor trust in its maker.

  python verify.py PACKAGE [--key KEY] [--pinned CHECKPOINT] [--witness KEY] [--decision ID]

Made from the modules of the audit package, in the order in which they build on each other. The copy that travels in a
package is for convenience: an auditor runs one from a source that they trust, and may compare the two.
"""
'''


@cache
def standalone() -> bytes:
    """The file; raises AuditError where two modules use one name for two things."""
    room = Path(audit.__file__).parent
    imports: dict[str, None] = {}
    seen: dict[str, str] = {}
    bodies = []
    for module in MODULES:
        source = (room / f"{module}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        for name in _defined(tree):
            if seen.setdefault(name, module) != module:
                raise AuditError(f"{name} is defined in {seen[name]} and in {module}: the verifier cannot be one file")
        drop, wanted = _imports(tree)
        imports.update(dict.fromkeys(wanted))
        lines = source.splitlines()
        bodies.append(f"# ---- {module} ----\n\n" + "\n".join(_kept(lines, drop)).strip("\n"))
    head = ["from __future__ import annotations", "", *sorted(imports)]
    main = 'if __name__ == "__main__":\n    sys.exit(main(sys.argv[1:], sys.stdout.write, sys.stderr.write))\n'
    return ("\n\n".join([_HEAD + "\n" + "\n".join(head), *bodies, main])).encode()


def _defined(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def _imports(tree: ast.Module) -> tuple[set[int], list[str]]:
    """(lines to leave out, imports of the standard library)."""
    drop: set[int] = set()
    wanted = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        is_ours = isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"audit", "__future__"}
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if is_ours or (is_import and node in tree.body) or _is_guard(node) or node in tree.body[:1]:
            drop |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if is_import and not is_ours and node in tree.body:
            wanted.append(ast.unparse(node))
    return drop, wanted


def _is_guard(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:`, and what runs a module as a program."""
    if not isinstance(node, ast.If):
        return False
    test = ast.unparse(node.test)
    return test == "TYPE_CHECKING" or test.startswith("__name__")


def _kept(lines: list[str], drop: set[int]) -> list[str]:
    return [line for number, line in enumerate(lines, 1) if number not in drop]
