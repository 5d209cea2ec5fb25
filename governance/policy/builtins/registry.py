"""Which builtins can be called here: the engine's own, and the Python ones that are registered with it.

The contract with the engine (`Engine.add_extension(name, count, function)`):

- A function takes exactly the operands of its signature; the form with one more, the output variable (`f(x, y)` for
  `y = f(x)`), has to be rewritten before. It gets Python values: dict, list, set, str, int, float, bool, None.
- It raises `BuiltinError` where OPA's builtin fails, first of all for operands of the wrong type. That ends the query:
  right in strict mode. It cannot answer "undefined".
- For OPA's default mode each function also comes as `governance.attempt.<name>`, which answers `[value]` or `[]`; the
  compiler writes `governance.attempt.f(x)[0]`, which is undefined where f fails. `guards.py` writes that for it.
- Sets of scalars cross in both directions. Sets that hold arrays, objects or sets cannot cross into Python (they can be
  given back, with tuples and frozensets as members): the call fails. Integers beyond 64 bits do not cross either.
- Implementations and what they import (cryptography, graphql, re2) load on the first call, not on registration.

Names in `OVERRIDDEN` replace a builtin that the engine has but gets wrong; the fast executor knows no extensions, so a
module that calls one of those is for the interpreter.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from governance.policy.builtins.operands import attempt, check_operands
from governance.policy.builtins.signatures import signatures

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.policy.builtins.operands import Value

ATTEMPT = "governance.attempt."
"""Prefix of the form of a builtin that answers `[value]` or `[]` instead of raising."""

MISSING_IN_ENGINE = frozenset(name for name, row in signatures().items() if not row.is_native)
"""Builtins of OPA that the engine does not have at all."""

# Module by module, the builtins that it implements in its table BUILTINS.
_MODULES: dict[str, tuple[str, ...]] = {
    "cidr": (
        "net.cidr_contains",
        "net.cidr_contains_matches",
        "net.cidr_expand",
        "net.cidr_intersects",
        "net.cidr_is_valid",
        "net.cidr_merge",
        "net.cidr_overlap",
    ),
    "digests": (
        "crypto.hmac.equal",
        "crypto.hmac.md5",
        "crypto.hmac.sha1",
        "crypto.hmac.sha256",
        "crypto.hmac.sha512",
        "crypto.md5",
        "crypto.sha1",
        "crypto.sha256",
    ),
    "amounts": ("units.parse", "units.parse_bytes"),
    "globs": ("regex.globs_match",),
    "graphql_documents": ("graphql.is_valid", "graphql.schema_is_valid"),
    "texts": (
        "all",
        "any",
        "array.flatten",
        "cast_array",
        "cast_boolean",
        "cast_null",
        "cast_object",
        "cast_set",
        "cast_string",
        "set_diff",
        "strings.render_template",
        "strings.replace_n",
        "strings.split_n",
    ),
    "uris": ("uri.is_valid", "uri.parse"),
    "token_signing": (
        "io.jwt.encode_sign",
        "io.jwt.encode_sign_raw",
    ),
    "tokens": (
        "io.jwt.decode",
        "io.jwt.decode_verify",
        "io.jwt.verify_eddsa",
        "io.jwt.verify_es256",
        "io.jwt.verify_es384",
        "io.jwt.verify_es512",
        "io.jwt.verify_hs256",
        "io.jwt.verify_hs384",
        "io.jwt.verify_hs512",
        "io.jwt.verify_ps256",
        "io.jwt.verify_ps384",
        "io.jwt.verify_ps512",
        "io.jwt.verify_rs256",
        "io.jwt.verify_rs384",
        "io.jwt.verify_rs512",
    ),
}

# These answer false for an operand of any type instead of failing.
_TAKES_ANYTHING = frozenset({"net.cidr_is_valid", "uri.is_valid"})


class Extension(NamedTuple):
    """A Python builtin as the engine takes it."""

    arity: int
    function: Callable[..., Value]


@cache
def available() -> frozenset[str]:
    """Names that may be called: what the engine has, plus the Python extensions."""
    native = frozenset(name for name, row in signatures().items() if row.is_native)
    return native | frozenset(extensions()) | {"print"}


@cache
def extensions() -> dict[str, Extension]:
    """Python builtins by name, those that override the engine's own included."""
    return {
        name: Extension(len(signatures()[name].args), _lazy(module, name))
        for module, names in _MODULES.items()
        for name in names
    }


OVERRIDDEN = frozenset(name for names in _MODULES.values() for name in names) - MISSING_IN_ENGINE
"""Builtins that the engine has but that Python answers, since the engine's answer differs from OPA's."""


@cache
def attempts() -> dict[str, Extension]:
    """The forms that answer `[value]` or `[]`, by their full names."""
    return {ATTEMPT + name: Extension(row.arity, attempt(row.function)) for name, row in extensions().items()}


def _lazy(module: str, name: str) -> Callable[..., Value]:
    """The builtin as a function that loads its module when it is first called, and checks operand types."""
    expected = signatures()[name].args
    loaded: list[Callable[..., Value]] = []

    def builtin(*operands: Value) -> Value:
        if not loaded:
            loaded.append(import_module(f"{__package__}.{module}").BUILTINS[name])
        if name not in _TAKES_ANYTHING:
            check_operands(name, expected, operands)
        return loaded[0](*operands)

    return builtin
