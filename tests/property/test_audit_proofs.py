"""Proofs, notes and signatures: what is true verifies, and nothing else does."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit.canonical import canonical
from audit.ed25519 import is_valid
from audit.exports.csv_view import safe_cell
from audit.notes import (
    BadNote,
    Checkpoint,
    checkpoint_text,
    opened,
    parse_checkpoint,
    parse_verifier_key,
    signed,
    verifier_key,
)
from audit.record import opens, seal
from audit.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
)

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for tests").digest())
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

# The tree of RFC 6962's reference implementation: its eight inputs and the roots after each.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """All complete nodes of a tree, as a store has them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.frontier = Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}
        for leaf in leaves:
            for level, index, digest in self.frontier.append(leaf_hash(leaf)):
                self.nodes[level, index] = digest

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


def _leaves(size: int) -> list[bytes]:
    return [b"leaf %d" % i for i in range(size)]


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_root(leaves[:split]), _root(leaves[split:]))


def test_roots_are_those_of_the_reference_tree():
    inputs = [bytes.fromhex(text) for text in INPUTS]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [Tree(inputs[: n + 1]).frontier.root().hex() for n in range(8)] == ROOTS


@given(st.integers(0, 300))
def test_the_frontier_s_root_is_the_definition_s(size):
    assert Tree(_leaves(size)).frontier.root() == _root(_leaves(size))


@given(st.integers(1, 300), st.data())
def test_every_leaf_proves_and_nothing_else_does(size, data):
    tree = Tree(_leaves(size))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, tree.node)
    leaf, root = leaf_hash(b"leaf %d" % index), tree.frontier.root()
    assert root_from_inclusion(index, size, leaf, proof) == root
    assert root_from_inclusion(index, size, leaf_hash(b"another"), proof) != root
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        bent = list(proof)
        bent[at] = (int.from_bytes(proof[at]) ^ (1 << bit)).to_bytes(32)
        assert root_from_inclusion(index, size, leaf, bent) != root
        for wrong in (proof[:-1], [*proof, proof[0]]):
            with pytest.raises(ValueError, match="too"):
                root_from_inclusion(index, size, leaf, wrong)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        with contextlib.suppress(ValueError):  # a proof of another length is refused, which is as good
            assert root_from_inclusion(other, size, leaf, proof) != root


@given(st.integers(1, 200), st.integers(0, 100), st.data())
def test_a_tree_is_consistent_with_its_own_past_only(old, more, data):
    new = old + more
    tree = Tree(_leaves(new))
    past, now = _root(_leaves(old)), tree.frontier.root()
    proof = consistency_proof(old, new, tree.node)
    assert is_consistent(old, new, past, now, proof)
    assert not is_consistent(old, new, hashlib.sha256(past).digest(), now, proof)
    assert not is_consistent(old, new, past, hashlib.sha256(now).digest(), proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bent = [*proof[:at], hashlib.sha256(proof[at]).digest(), *proof[at + 1 :]]
        assert not is_consistent(old, new, past, now, bent)
        assert not is_consistent(old, new, past, now, proof[:-1])


@given(st.integers(-3, 3), st.integers(0, 3))
def test_a_leaf_outside_the_tree_has_no_proof(index, size):
    if not 0 <= index < size:
        with pytest.raises(ValueError, match="not in a tree"):
            inclusion_proof(index, size, Tree(_leaves(size)).node)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_canonical_text_reads_back_and_does_not_depend_on_order(value):
    raw = canonical(value)
    again = json.loads(raw)
    assert canonical(again) == raw
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == raw


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": float("-inf")}, {1, 2}, b"x"])
def test_what_json_cannot_hold_has_no_canonical_text(value):
    with pytest.raises((ValueError, TypeError)):
        canonical(value)


@given(JSON, JSON)
def test_a_commitment_opens_with_its_value_and_salt_only(value, other):
    sealed = seal(value)
    assert opens(sealed.commitment, sealed.salt, value)
    assert not opens(sealed.commitment, seal(value).salt, value)
    assert opens(sealed.commitment, sealed.salt, other) == (canonical(other) == canonical(value))
    assert not opens(sealed.commitment, "zz", value)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 511))
def test_signatures_are_those_of_a_known_library(message, bit):
    signature = KEY.sign(message)
    assert is_valid(PUBLIC, message, signature)
    bent = (int.from_bytes(signature) ^ (1 << bit)).to_bytes(64)
    assert not is_valid(PUBLIC, message, bent)
    assert not is_valid(PUBLIC, message + b"x", signature)
    assert not is_valid(PUBLIC, message, signature[:-1])
    assert not is_valid(PUBLIC[:-1], message, signature)


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), st.binary(max_size=20))
@example(bytes(32), bytes(64), b"\x1a")
def test_what_the_library_refuses_is_refused(public, signature, message):
    """The other way round does not hold: the library takes keys of small order, for which one signature fits many messages."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        is_accepted = True
    except (InvalidSignature, ValueError):
        is_accepted = False
    assert is_accepted or not is_valid(public, message, signature)


# RFC 8032 encodings of points of order 1, 2, 4 and 8; the third is (sqrt(-1), 0).
@pytest.mark.parametrize(
    "public",
    [
        bytes([1]) + bytes(31),
        bytes([0xEC]) + b"\xff" * 30 + b"\x7f",
        bytes(32),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ],
)
def test_a_key_of_small_order_signs_nothing(public):
    assert not any(
        is_valid(public, bytes([n]), signature) for n in range(16) for signature in (bytes(64), public + bytes(32))
    )


def test_a_signature_with_its_scalar_moved_by_the_group_order_is_refused():
    """The same equation holds for it; accepting it would let anybody make a second signature (RFC 8032, 5.1.7)."""
    signature = KEY.sign(b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    assert not is_valid(PUBLIC, b"m", signature[:32] + scalar.to_bytes(32, "little"))


LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(LINES, st.integers(0, 2**40), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_reads_back_and_a_changed_one_does_not_open(origin, size, root):
    key = verifier_key("log.example", PUBLIC)
    text = checkpoint_text(Checkpoint(origin, size, root))
    note = signed(text, key, KEY.sign(text.encode()))
    assert parse_checkpoint(opened(note, key)) == Checkpoint(origin, size, root)
    assert str(parse_verifier_key(str(key))) == str(key)
    with pytest.raises(BadNote):
        opened(note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1), key)


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n\n", "\n", 1),
        lambda note: note.replace("\u2014", "-"),
        lambda note: note.replace("log.example", "log.example.evil"),
        lambda note: note[:-6] + "\n",
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: "",
    ],
)
def test_a_note_that_is_malformed_does_not_open(change):
    key = verifier_key("log.example", PUBLIC)
    text = checkpoint_text(Checkpoint("log.example", 1, b"r" * 32))
    with pytest.raises(BadNote):
        opened(change(signed(text, key, KEY.sign(text.encode()))), key)


@pytest.mark.parametrize(
    "text", ["a", "a\n-1\n" + "A" * 44, "a\n01\n" + "A" * 44, "a\n1\nxx", "a\n1_0\n" + "A" * 43 + "="]
)
def test_a_checkpoint_that_could_be_read_two_ways_is_none(text):
    with pytest.raises(BadNote):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "text", ["", "a+b", "a+00000000+AQ==", "log+00000000+" + base64.b64encode(b"\1" + b"k" * 32).decode()]
)
def test_a_verifier_key_whose_hash_does_not_fit_is_refused(text):
    with pytest.raises(BadNote):
        parse_verifier_key(text)


@given(st.text(max_size=20))
def test_no_cell_of_a_table_starts_a_formula(text):
    assert not safe_cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert safe_cell(text).endswith(text)
