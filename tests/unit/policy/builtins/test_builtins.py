"""Builtins in Python: OPA's answers, on values, on operands of the wrong type, and on what an attacker would hand over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from governance.policy.builtins.signatures import signatures
from governance.policy.engine import knows_function
from governance.policy.eval import Failure, Question, evaluate

TEXT = json.dumps


def value(expression: str, *, strict: bool = False, **given):
    """The value of an expression; None for undefined."""
    question = Question(f"x := {expression}", {}, None, given, has_input=True, strict=strict)
    found = evaluate(question)
    assert not isinstance(found, Failure), found
    return found[0]["x"] if found else None


def failure(expression: str, **given) -> Failure:
    found = evaluate(Question(f"x := {expression}", {}, None, given, has_input=True, strict=True))
    assert isinstance(found, Failure), found
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('strings.split_n("a.b.c.d", ".", 2)', ["a", "b"]),
        ('strings.split_n("a.b.c.d", ".", -2)', ["c", "d"]),
        ('strings.split_n("abc", "", 2)', ["a", "b"]),
        ("array.flatten([1, [2, [3]], [[4]]])", [1, 2, [3], [4]]),
        ('strings.replace_n({"f": "x", "foo": "xxx"}, "foobar")', "xoobar"),
        ('strings.render_template("{{range $i, $n := .a}}{{if $i}},{{end}}{{$n}}{{end}}", {"a": ["x", "y"]})', "x,y"),
        ('strings.render_template("{{.a}} {{.b}}", {"a": 1})', "1 <undefined>"),
        ('units.parse("10Ki")', 10240),
        ('units.parse("10m")', 0.01),
        ('units.parse("10M")', 10_000_000),
        ('units.parse_bytes("1.5KiB")', 1536),
        ('uri.parse("https://example.com:8080/a%2Fb?q=1#t").path', "/a/b"),
        ('uri.parse("http://[::1]:8080/").hostname', "::1"),
        ('uri.is_valid("http://exa%6dple.com/")', False),
        ('uri.is_valid("http://a<b@example.com/")', False),
        ('uri.is_valid("http://example.com:\u0663/")', False),
        ('regex.globs_match("a.a.[0-9]+z", ".b.b2359825792*594823z")', True),
        ('regex.globs_match("[a-z]+", "[0-9]*")', False),
        ('net.cidr_contains("10.0.0.0/8", "10.9.8.7")', True),
        ('net.cidr_contains("10.0.0.0/8", "::ffff:11.0.0.1")', False),
        ('crypto.sha256("abc")', hashlib.sha256(b"abc").hexdigest()),
        ('crypto.hmac.sha256("abc", "key")', hmac.digest(b"key", b"abc", "sha256").hex()),
        ('graphql.is_valid("{a}", "type Query {a: Int}")', True),
        ('graphql.is_valid("{b}", "type Query {a: Int}")', False),
        ('graphql.schema_is_valid("type Query {a: Nothing}")', False),
    ],
)
def test_values(expression, expected):
    assert value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        'units.parse("10e10000000Ei")', 'units.parse("10 Ki")', 'units.parse("Ki")', 'units.parse("1Q")', 'units.parse("")',
        'units.parse_bytes("10e10000000EiB")', 'strings.split_n("a", ".", 1.5)',
        'strings.render_template("{{.a", {})', 'strings.render_template("{{call .a}}", {})',
        'strings.render_template("{{range .a}}", {"a": [1]})', 'strings.render_template("{{$nobody}}", {})',
        'regex.globs_match("pqrs]", "[a-b]+")', 'regex.globs_match("*a", "a")', 'regex.globs_match("[", "a")',
        'regex.globs_match("[b-a]", "a")', 'uri.parse("http://[invalid")', 'uri.parse("http://a b/")', 'uri.parse(":x")',
        'net.cidr_contains("10.0.0.0/33", "10.0.0.1")', 'io.jwt.decode("a.b")', 'io.jwt.decode("x")',
        'to_number("abc")', 'json.unmarshal("{")', 'base64.decode("!")', 'time.parse_rfc3339_ns("yesterday")', "1 / 0",
        "input.text + 1", "count(input.number)", 'strings.any_prefix_match("a", [1])', "array.flatten(input.number)",
    ],
)  # fmt: skip
def test_an_error_is_undefined_unless_strictness_was_asked_for(expression):
    given = {"text": "a", "number": 5}
    assert value(expression, **given) is None
    assert failure(expression, **given).code in {"eval_builtin_error", "eval_type_error"}


def test_a_negation_of_what_fails_is_opa_s_and_not_a_wider_yes():
    """A call directly under `not` fails to undefined, so `not` holds; one inside a comparison takes the statement along."""
    module = 'package p\n\na if not to_number("abc")\n\nb if not to_number("abc") == 5\n\nc if not input.a + 1 == 2\n'
    for name, expected in (("a", True), ("b", None), ("c", None)):
        found = evaluate(Question(f"x := data.p.{name}", {"m": module}, None, {"a": "x"}, has_input=True))
        assert (found[0]["x"] if found else None) is expected, name


@pytest.mark.parametrize(
    "body",
    [
        "walk(input.x, [_, q]); not data.known[q]",
        "walk(input.x, [path, q]); not data.known[q]; count(path) > 0",
        "walk(input.x, [_, q]); is_string(q); count([1 | data.known[q]]) == 0",
        'split(input.text, "/", parts); not data.known[parts[0]]',
        'split(input.text, "/", parts); count([1 | data.known[parts[0]]]) == 0',
    ],
)
def test_what_a_call_bound_is_bound_under_a_negation_too(body):
    module = f"package p\n\nimport rego.v1\n\ndeny if {{ {body} }}\n"
    given = {"x": ["stranger"], "text": "stranger/y"}
    question = Question("x := data.p.deny", {"m": module}, {"known": {"friend": True}}, given, has_input=True)
    assert evaluate(question) == [{"x": True}]
    friend = question._replace(input={"x": {}, "text": "friend/y"}, data={"known": {"friend": True}})
    if "split" in body:
        assert evaluate(friend) == []


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ('p := ["a"]; walk({"a": 1, "b": 2}, [p, v])', [1]),
        ('walk({"a": 1, "b": 2}, [["b"], v])', [2]),
        ('walk({"a": 1, "b": 2}, [[k], v]); k != "a"', [2]),
        ('walk({"a": 1, "b": 2}, [p, v]); p = ["a"]', [1]),
        ('p := ["a"]; v := [w | walk({"a": 1, "b": 2}, [p, w])]', [[1]]),
        ('v := count([1 | walk({"a": 1, "b": 2}, [_, 2])])', [1]),
    ],
)
def test_a_walk_compares_what_was_bound_before(query, values):
    assert [row["v"] for row in evaluate(Question(query, {}))] == values


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("some p, v; [p, v] = walk(x); is_string(v)", ["c"]),
        ("[_, v] := walk(x); is_string(v)", ["c"]),
        ("walk(x) = [_, v]; is_string(v)", ["c"]),
        ("pair := walk(x); v := pair[1]; is_string(v)", ["c"]),
        ("walk(x)[1] == input.c; v := 1", [1]),
        ("v := count(walk(x)[0])", [0, 1, 2, 3]),
        ("walk(x); v := 1", [1, 1, 1, 1]),
        ("v := count([1 | walk(x)])", [4]),
    ],
)
def test_a_walk_as_a_value_goes_through_all_pairs(body, values):
    """The engine alone has it undefined: a rule that denies what it finds by it would never deny."""
    module = f'package p\n\nx := {{"a": [{{"b": "c"}}]}}\n\nq := [v | {body}]\n\ndeny if {{ {body} }}\n'
    assert evaluate(Question("y := data.p.q", {"m": module}, None, {"c": "c"}, has_input=True)) == [{"y": values}]
    assert evaluate(Question("y := data.p.deny", {"m": module}, None, {"c": "c"}, has_input=True)) == [{"y": True}]


def test_an_own_name_in_a_walk_is_not_compared_with_an_outer_one():
    query = 'v := 5; w := count([1 | [_, v] := walk({"a": "b"}); v == "b"])'
    assert evaluate(Question(query, {})) == [{"v": 5, "w": 1}]


@pytest.mark.parametrize(
    "rule", ["deny if not walk(input)[1] == 1", "deny := walk(input)", "deny if every r in [walk(input)] { r }"]
)
def test_a_walk_that_cannot_be_a_loop_is_refused_with_its_place(rule):
    found = evaluate(Question("y := data.p.deny", {"m.rego": f"package p\n\n{rule}\n"}))
    assert isinstance(found, Failure)
    assert found.code == "rego_compile_error"
    assert "m.rego:3:" in found.message


def test_a_function_of_nobody_is_refused_at_load_with_its_place():
    found = evaluate(Question("x := no.such(1)", {}))
    assert isinstance(found, Failure)
    assert "no.such" in found.message


@pytest.mark.parametrize(
    "call", ['http.send({"url": "http://example.com"})', "time.now_ns()", "opa.runtime()", 'rand.intn("x", 5)']
)
def test_what_is_not_deterministic_does_not_serve(cli_build, call):
    assert "the same answer twice" in cli_build(f"package own\n\nx := {call}\n")


@pytest.fixture
def cli_build(tmp_path):
    from governance.errors import RuleError
    from governance.policy.compiler.compile import Module, compile_policy

    def build(text: str) -> str:
        with pytest.raises(RuleError) as caught:
            compile_policy([Module("own.rego", text)])
        assert "own.rego:3" in str(caught.value)
        return str(caught.value)

    return build


# -- tokens --------------------------------------------------------------------------------------------------------------


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(header: dict, payload: dict, secret: bytes) -> str:
    signed = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(payload).encode())}"
    return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


@pytest.fixture(scope="module")
def public_pem() -> str:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_token_signed_with_the_secret_verifies():
    token = _token({"alg": "HS256"}, {"sub": "a"}, b"secret")
    assert value('io.jwt.verify_hs256(input.t, "secret")', t=token) is True
    assert value('io.jwt.verify_hs256(input.t, "other")', t=token) is False
    assert value('io.jwt.decode_verify(input.t, {"secret": "secret"})', t=token)[0] is True


def test_none_is_no_algorithm(public_pem):
    for alg in ("none", "None", "NONE", ""):
        token = f"{_b64(json.dumps({'alg': alg}).encode())}.{_b64(b'{}')}."
        found = value('io.jwt.decode_verify(input.t, {"cert": input.k})', t=token, k=public_pem)
        assert found is None or found[0] is False


def test_a_public_key_is_no_secret(public_pem):
    """HS256 with the RSA public key as the secret: the verifier that was told a certificate must not take it."""
    token = _token({"alg": "HS256"}, {"sub": "admin"}, public_pem.encode())
    found = value('io.jwt.decode_verify(input.t, {"cert": input.k})', t=token, k=public_pem)
    assert found is None or found[0] is False
    assert value("io.jwt.verify_rs256(input.t, input.k)", t=token, k=public_pem) in {False, None}


def test_an_expired_token_does_not_verify():
    token = _token({"alg": "HS256"}, {"exp": 1}, b"secret")
    assert value('io.jwt.decode_verify(input.t, {"secret": "secret"})', t=token)[0] is False


def test_a_template_cannot_run_for_ever():
    items = list(range(400))
    nested = "{{range .a}}{{range $.a}}{{range $.a}}x{{end}}{{end}}{{end}}"
    assert value('strings.render_template(input.t, {"a": input.a})', t=nested, a=items) is None


def test_globs_of_many_stars_are_answered_at_once():
    pattern = "a*" * 200
    assert value("regex.globs_match(input.p, input.q)", p=pattern + "b", q=pattern + "c") is False


@pytest.mark.parametrize("name", sorted(name for name, row in signatures().items() if not row.infix and row.args))
def test_the_table_says_rightly_what_the_engine_has(name):
    if name not in {"print", "internal.print"}:
        assert knows_function(name, len(signatures()[name].args)) == signatures()[name].is_native
