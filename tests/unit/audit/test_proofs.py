"""One proof as a text: what is true verifies offline, and nothing else does."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import BadQuestion, LogTorn, NothingThere
from audit.exports.standalone import standalone
from audit.keys import SigningKey
from audit.log import AuditLog
from audit.proofs import MOST_PROOF_BYTES, Growth, Inclusion, parse_growth, parse_inclusion
from audit.proving import prove_growth, prove_inclusion
from audit.reader import COSIGNED, LogReader
from audit.tree import Frontier, leaf_hash
from tests.unit.audit.packages_made import ORIGIN, cosignature_line, entry, make, refused, verified, witness_key


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def log(made):
    with closing(LogReader(made.folder / "home", origin=ORIGIN)) as reader:
        yield reader


@pytest.fixture
def kept(made, tmp_path):
    (tmp_path / "kept").write_text(made.older)
    return ("--pinned", str(tmp_path / "kept"))


@pytest.fixture
def written(tmp_path):
    def write(proof: Inclusion | Growth | str | bytes):
        text = proof if isinstance(proof, str | bytes) else proof.text()
        (tmp_path / "proof").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "proof"

    return write


def test_every_record_is_proved_in_every_tree_that_it_is_in_and_in_no_other(made, log, written):
    for index in range(log.size()):
        for size in (index + 1, log.size()):
            code, said = verified(written(prove_inclusion(log, index, size)), "--key", made.key)
            assert code == 0, said
            assert (
                f"record {index} (kind deploy, effect deny, app app{index % 2}, actor =cmd, decision_id d{index})"
                in said
            )
            assert f"of {size}, unchanged" in said
        with pytest.raises(BadQuestion, match="a tree of"):
            prove_inclusion(log, index, index or log.size() + 1)
    with pytest.raises(NothingThere):
        prove_inclusion(log, log.size())


def test_a_proof_is_of_the_decision_that_is_asked_for_or_refused(made, log, written, kept):
    proof = written(prove_inclusion(log, 4))
    assert verified(proof, "--key", made.key, "--decision", "d4")[0] == 0
    refused(proof, "not of the decision 'd5'", more=("--key", made.key, "--decision", "d5"))
    refused(
        written(prove_growth(log, 6)),
        "says nothing of the decision",
        more=("--key", made.key, "--decision", "d4", *kept),
    )


def test_growth_is_proved_from_the_checkpoint_that_was_kept(made, log, written, kept):
    code, said = verified(written(prove_growth(log, 6)), "--key", made.key, *kept)
    assert (code, f"of {log.size()} continues your checkpoint of 6" in said) == (0, True)
    assert verified(written(prove_growth(log, 6, 6)), "--key", made.key, *kept)[0] == 0
    refused(written(prove_growth(log, 6)), "bring it with --pinned", more=("--key", made.key))
    refused(written(prove_growth(log, 5)), "begins at 5 records", more=("--key", made.key, *kept))
    for old in (0, log.size() + 1):
        with pytest.raises(BadQuestion):
            prove_growth(log, old)


def test_the_verifier_that_travels_in_packages_checks_proofs_as_well(made, log, written, tmp_path):
    (tmp_path / "verify.py").write_bytes(standalone())
    proof = written(prove_inclusion(log, 4))
    for changed, code in (("", 0), ("A", 1)):
        proof.write_text(proof.read_text().replace("index 4\n", f"index 4\n{changed}"))
        done = subprocess.run(
            [sys.executable, "-I", "-S", tmp_path / "verify.py", proof, "--key", made.key],
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_a_proof_needs_the_key_that_one_was_given(made, log, written):
    proof = written(prove_inclusion(log, 4))
    refused(proof, "--key")
    refused(proof, "fitting hash", more=("--key", made.key.replace("log.example", "log.exbmple")))
    other = SigningKey(ORIGIN, bytes(32))
    refused(proof, "did not sign", more=("--key", str(other.verifier)))
    refused(proof, "not an Ed25519 key", more=("--key", made.key, "--witness", made.key))


def test_a_checkpoint_of_another_time_than_yours_is_no_proof_of_continuity(made, log, written, kept):
    assert verified(written(prove_inclusion(log, 4, 6)), "--key", made.key, *kept)[0] == 0
    refused(
        written(prove_inclusion(log, 4)), "does not show that the log continues yours", more=("--key", made.key, *kept)
    )


def test_another_history_under_the_log_s_own_key_does_not_continue_it(made, written, kept, tmp_path):
    (tmp_path / "home" / "audit").mkdir(parents=True)
    (tmp_path / "home" / "audit" / "key").write_bytes((made.folder / "home" / "audit" / "key").read_bytes())
    (tmp_path / "home" / "audit" / "key").chmod(0o600)
    with AuditLog(tmp_path / "home", origin=ORIGIN) as rewritten:
        for number in range(9):
            rewritten.append(entry(number, effect="allow"))
        proof = written(prove_growth(rewritten.reader, 6))
        refused(proof, "does not continue your checkpoint of 6", more=("--key", made.key, *kept))
        proof = prove_inclusion(rewritten.reader, 4)
    with closing(LogReader(made.folder / "home", origin=ORIGIN)) as log:
        mixed = prove_inclusion(log, 4, 9)._replace(leaf=proof.leaf)
        refused(written(mixed), "record 4 is not in this log", more=("--key", made.key))
        refused(written(mixed._replace(note=proof.note)), "record 4 is not in this log", more=("--key", made.key))


def test_a_record_at_another_s_place_is_refused_though_its_hash_is_proved(written):
    key = SigningKey(ORIGIN, bytes([9]) * 32)
    leaf = b'{"index":7,"kind":"deploy","public":{}}'
    tree = Frontier()
    tree.append(leaf_hash(leaf))
    proof = Inclusion(0, leaf, (), key.checkpoint(1, tree.root()))
    refused(written(proof), "record 0 says that it is 7", more=("--key", str(key.verifier)))
    for junk in (b"[]", b"{}", b'{"index":0,"kind":1,"public":3}', b"\xff", b"[" * 9000):
        tree = Frontier()
        tree.append(leaf_hash(junk))
        proof = Inclusion(0, junk, (), key.checkpoint(1, tree.root()))
        refused(written(proof), "not of the form", more=("--key", str(key.verifier)))


def test_what_witnesses_cosigned_is_proved_in_before_the_newest(made, log, written, tmp_path):
    witness = SigningKey("witness.example", bytes([7]) * 32)
    text = made.older.rpartition("\n\n")[0] + "\n"
    signature = witness.sign(f"cosignature/v1\ntime 5\n{text}".encode())
    line = cosignature_line("witness.example", witness.verifier.public, 5, signature)
    trusting = ("--key", made.key, "--witness", witness_key("witness.example", witness.verifier.public))
    place = made.folder / "home" / "audit" / COSIGNED
    place.write_text(made.older + line)
    try:
        code, said = verified(written(prove_inclusion(log, 4)), *trusting)
        assert (code, "of 6, unchanged" in said, "Cosigned by 1 witnesses" in said) == (0, True, True)
        namesake = witness_key("witness.example", SigningKey("witness.example", bytes([8]) * 32).verifier.public)
        refused(written(prove_inclusion(log, 4)), "did not cosign", more=(*trusting, "--witness", namesake))
        refused(written(prove_inclusion(log, 7)), "did not cosign", more=trusting)  # they had not seen it
        refused(written(prove_inclusion(log, 4, 9)), "did not cosign", more=trusting)
    finally:
        place.unlink()


def test_a_damaged_log_proves_nothing(tmp_path):
    with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
        for number in range(9):
            log.append(entry(number))
        with closing(sqlite3.connect(tmp_path / "home" / "audit" / "log.db")) as db, db:
            (tile,) = db.execute("SELECT hashes FROM tiles WHERE level = 0").fetchone()
            changed = bytearray(tile)
            changed[2 * 32] ^= 1
            db.execute("UPDATE tiles SET hashes = ? WHERE level = 0", (bytes(changed),))
        for prove in (
            lambda: prove_inclusion(log.reader, 4), lambda: prove_inclusion(log.reader, 4, 6),
            lambda: prove_growth(log.reader, 6), lambda: prove_growth(log.reader, 3, 6),
        ):  # fmt: skip
            with pytest.raises(LogTorn):
                prove()
        with closing(sqlite3.connect(tmp_path / "home" / "audit" / "log.db")) as db, db:
            db.execute("DELETE FROM tiles")
        with pytest.raises(LogTorn, match="incomplete"):
            prove_inclusion(log.reader, 4)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_changed_byte_passes_or_crashes(made, tmp_path_factory, data):
    with closing(LogReader(made.folder / "home", origin=ORIGIN)) as log:
        size = log.size()
        proof = data.draw(st.sampled_from([prove_inclusion(log, 4, size), prove_growth(log, 6, size)]))
    raw = bytearray(proof.text().encode())
    at = data.draw(st.integers(0, raw.rindex("\u2014".encode()) - 1))  # signatures are changed elsewhere
    raw[at] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("changed")
    (folder / "proof").write_bytes(raw)
    (folder / "kept").write_text(made.older)
    more = ("--pinned", str(folder / "kept")) if isinstance(proof, Growth) else ()
    refused(folder / "proof", more=("--key", made.key, *more))


def test_a_second_spelling_of_the_same_proof_is_refused(made, log, written):
    text = prove_inclusion(log, 4).text()
    hashed = text.split("\n")[3]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = (
        hashed[:-2] + alphabet[alphabet.index(hashed[-2]) + 1] + "="
    )  # its last letter has two bits that say nothing
    assert base64.b64decode(hashed) == base64.b64decode(other)
    refused(written(text.replace(hashed, other)), "not spelled", more=("--key", made.key))


@pytest.mark.parametrize("leaf", [b"", b"x", b'{"index":1}', bytes(range(256))])
@given(
    number=st.integers(0, 10**18),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    note=st.text(min_size=1, max_size=50),
)
def test_proofs_read_back_as_they_were_written(leaf, number, hashes, note):
    included, grown = Inclusion(number, leaf, tuple(hashes), note), Growth(number, tuple(hashes), note)
    assert parse_inclusion(included.text()) == included
    assert parse_growth(grown.text()) == grown


@pytest.mark.parametrize(
    "text",
    [
        "c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nn",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 00\n\nn", "c2sp.org/tlog-proof@v1\nextra QQ==\nindex \u0663\n\nn",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 0\nQQ==\n\nn", "old 1\n", "old x\n\nn", "old 1\nQQ==\n\nn",
        "old 1\n" + (base64.b64encode(bytes(32)).decode() + "\n") * 64 + "\nn", "old 9" + "9" * 5000 + "\n\nn",
        "old 1\n" + "A" * MOST_PROOF_BYTES,
    ],
)  # fmt: skip
def test_what_is_no_proof_is_named(made, written, text):
    refused(written(text), "proof", more=("--key", made.key))
