"""Which builtins can be called here: the engine's own, and the Python ones that are registered with it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from governance.policy.builtins.signatures import signatures

if TYPE_CHECKING:
    from collections.abc import Callable

# Builtins of OPA 1.22 that the pinned engine (regorus 0.13) does not have; a test probes the engine for each.
MISSING_IN_ENGINE = frozenset(
    [
        "all",
        "any",
        "array.flatten",
        "cast_array",
        "cast_boolean",
        "cast_null",
        "cast_object",
        "cast_set",
        "cast_string",
        "crypto.hmac.equal",
        "crypto.hmac.md5",
        "crypto.hmac.sha1",
        "crypto.hmac.sha256",
        "crypto.hmac.sha512",
        "crypto.md5",
        "crypto.parse_private_keys",
        "crypto.sha1",
        "crypto.sha256",
        "crypto.x509.parse_and_verify_certificates",
        "crypto.x509.parse_and_verify_certificates_with_options",
        "crypto.x509.parse_certificate_request",
        "crypto.x509.parse_certificates",
        "crypto.x509.parse_keypair",
        "crypto.x509.parse_rsa_private_key",
        "graphql.is_valid",
        "graphql.parse",
        "graphql.parse_and_verify",
        "graphql.parse_query",
        "graphql.parse_schema",
        "graphql.schema_is_valid",
        "internal.print",
        "internal.template_string",
        "internal.test_case",
        "io.jwt.decode",
        "io.jwt.decode_verify",
        "io.jwt.encode_sign",
        "io.jwt.encode_sign_raw",
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
        "net.cidr_contains_matches",
        "net.cidr_intersects",
        "net.cidr_merge",
        "net.cidr_overlap",
        "net.lookup_ip_addr",
        "providers.aws.sign_req",
        "re_match",
        "regex.globs_match",
        "rego.metadata.chain",
        "rego.metadata.rule",
        "rego.parse_module",
        "set_diff",
        "strings.render_template",
        "strings.split_n",
        "uri.is_valid",
        "uri.parse",
    ]
)


@cache
def available() -> frozenset[str]:
    """Names that may be called: what the engine has, plus the Python extensions."""
    return (
        frozenset(name for name in signatures() if name not in MISSING_IN_ENGINE) | frozenset(extensions()) | {"print"}
    )


@cache
def extensions() -> dict[str, tuple[int, Callable[..., object]]]:
    """Python builtins by name: (number of arguments, function)."""
    return {}
