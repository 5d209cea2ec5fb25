"""`graphql.is_valid` and `graphql.schema_is_valid`, by graphql-core, the reference implementation in Python.

Documents come as text; a parsed one (an object, as `graphql.parse` would give it) is refused, since nothing here makes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.builtins.operands import BuiltinError

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from governance.policy.builtins.operands import Value

_LONGEST = 1 << 20


def schema_is_valid(schema: Value) -> bool:
    """Whether a schema document is one."""
    return _schema(_text(schema)) is not None


def is_valid(query: Value, schema: Value) -> bool:
    """Whether a query document holds against a schema."""
    from graphql import GraphQLError, parse, validate  # slow to load

    known = _schema(_text(schema))
    if known is None:
        return False
    try:
        document = parse(_text(query))
    except (GraphQLError, RecursionError):
        return False
    return not validate(known, document)


def _schema(text: str) -> GraphQLSchema | None:
    from graphql import GraphQLError, build_schema, validate_schema  # slow to load

    try:
        schema = build_schema(text)
    except (GraphQLError, TypeError, RecursionError):
        return None
    errors = [error for error in validate_schema(schema) if "Query root type must be provided" not in error.message]
    return None if errors else schema


def _text(document: Value) -> str:
    if not isinstance(document, str):
        raise BuiltinError("graphql: a parsed document is not read here; hand over its text")
    if len(document) > _LONGEST:
        raise BuiltinError(f"graphql: a document of more than {_LONGEST} characters")
    return document


BUILTINS = {"graphql.is_valid": is_valid, "graphql.schema_is_valid": schema_is_valid}
