"""Bundles between OPA and us, with the real `opa` program: it loads and verifies ours, we load and verify what it signed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from governance.errors import BadBundle
from governance.policy.bundle import load_bundle
from tests.benchmarks import peers
from tests.journeys.service import governance

# Built by `make bench`; a test run alone does not spend minutes on compiling a peer.
OPA = peers.BIN / "opa"
pytestmark = pytest.mark.skipif(
    not OPA.exists(), reason="there is no .cache/bin/opa; `make bench` builds it where Go is"
)
SECRET = "0123456789abcdef" * 4


@pytest.fixture(scope="module", params=["RS256", "ES256", "HS256"])
def keys(request, tmp_path_factory):
    """(algorithm, private key file, public key file)."""
    folder = tmp_path_factory.mktemp(request.param)
    private, public = folder / "private", folder / "public"
    if request.param == "HS256":
        private.write_text(SECRET)
        return request.param, private, private
    key = ec.generate_private_key(ec.SECP256R1()) if request.param == "ES256" else rsa.generate_private_key(65537, 2048)
    form = PrivateFormat.TraditionalOpenSSL
    private.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return request.param, private, public


def opa(*argv, folder):
    return subprocess.run([OPA, *map(str, argv)], cwd=folder, capture_output=True, check=False)


def source(tmp_path):
    folder = tmp_path / "mine"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "p.rego").write_text("package a.p\n\nanswer := data.a.n + input.more\n")
    (folder / "a" / "data.json").write_text('{"n": 40, "text": "\\u2028 <&> 1.0", "float": 1.0, "big": 1e21}')
    (folder / ".manifest").write_text('{"revision": "r7", "roots": ["a"]}')
    return folder


def test_opa_runs_and_verifies_what_we_sign(keys, tmp_path):
    algorithm, private, public = keys
    path = tmp_path / "ours.tar.gz"
    folder = source(tmp_path)
    done = governance(
        "bundle", "build", str(folder), "--root", "a", "-o", str(path), "--key", str(private), home=tmp_path / "home"
    )
    assert done.returncode == 0, done.stderr
    argv = [
        "build",
        "-b",
        path,
        "--verification-key",
        public,
        "--signing-alg",
        algorithm,
        "-o",
        tmp_path / "again.tar.gz",
    ]
    verified = opa(*argv, folder=tmp_path)
    assert verified.returncode == 0, verified.stderr
    (tmp_path / "in.json").write_text('{"more": 2}')
    found = opa("eval", "-b", path, "-i", tmp_path / "in.json", "data.a.p.answer", folder=tmp_path)
    assert json.loads(found.stdout)["result"][0]["expressions"][0]["value"] == 42


def test_our_own_rule_pack_with_its_cases_is_a_bundle_for_opa(tmp_path):
    path = tmp_path / "pack.tar.gz"
    assert governance("bundle", "build", "-o", str(path), home=tmp_path / "home").returncode == 0
    found = opa("eval", "-b", path, "-i", "/dev/stdin", "count(data.platform.rules)", folder=tmp_path)
    assert found.returncode == 0 or b"input" in found.stderr, found.stderr
    inspected = opa("inspect", path, "-f", "json", folder=tmp_path)
    assert inspected.returncode == 0, inspected.stderr
    assert json.loads(inspected.stdout)["manifest"]["revision"].startswith("sha256:")


def test_we_verify_and_load_what_opa_signed(keys, tmp_path):
    algorithm, private, public = keys
    folder = source(tmp_path)
    argv = [
        "build",
        "-b",
        folder,
        "--signing-key",
        private,
        "--signing-alg",
        algorithm,
        "-o",
        tmp_path / "theirs.tar.gz",
    ]
    built = opa(*argv, "--verification-key", public, folder=tmp_path)
    if built.returncode != 0:
        built = opa(*argv, folder=tmp_path)
    assert built.returncode == 0, built.stderr
    path = tmp_path / "theirs.tar.gz"
    loaded = load_bundle(str(path), key=Path(public).read_bytes())
    assert (loaded.revision, loaded.roots, loaded.data["a"]["n"]) == ("r7", ("a",), 40)
    other = b"fedcba9876543210" * 4
    with pytest.raises(BadBundle):
        load_bundle(str(path), key=other)
