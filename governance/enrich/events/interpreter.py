"""JMESPath's own interpreter, counting what it does. Loaded only where an app transforms events."""

from __future__ import annotations

from typing import Any

from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

# So many characters cost as much as one item.
_LETTERS = 64


class TooMuchWork(Exception):
    """The budget is used up."""


class Bounded(TreeInterpreter):
    """Evaluates one expression once."""

    def __init__(self, budget: int) -> None:
        """`budget`: visited nodes, handled items and pieces of text together."""
        super().__init__()
        self._left = budget
        self._calls = Functions()

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """One node, paid for by what it gives."""
        value = super().visit(node, *args, **kwargs)
        if isinstance(value, str):
            self._spend(1 + len(value) // _LETTERS)
        else:
            self._spend(1 + (len(value) if isinstance(value, list | dict) else 0))
        return value

    def visit_comparator(self, node: Any, value: Any) -> Any:
        """Comparing walks both sides whole."""
        operands = [
            {"type": "literal", "value": self._weighed(child, value), "children": []} for child in node["children"]
        ]
        return super().visit_comparator({**node, "children": operands}, value)  # type: ignore[typeddict-item]

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """A function may look at its arguments whole."""
        return self._calls.call_function(node["value"], [self._weighed(child, value) for child in node["children"]])

    def weigh(self, value: Any) -> None:
        """Pay for a value as a tree: what is referred to twice counts twice. Raises TooMuchWork."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            self._spend(1 + (len(one) // _LETTERS if isinstance(one, str) else 0))
            if isinstance(one, dict):
                waiting += [*one, *one.values()]
            elif isinstance(one, list):
                waiting += one

    def _weighed(self, node: Any, value: Any) -> Any:
        found = self.visit(node, value)
        self.weigh(found)
        return found

    def _spend(self, units: int) -> None:
        self._left -= units
        if self._left < 0:
            raise TooMuchWork
