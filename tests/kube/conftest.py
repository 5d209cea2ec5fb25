"""A real kube-apiserver over a real etcd, with our webhook behind it; skipped, in words, where `make test-kube` built none."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.journeys.service import EXAMPLES, ROOT, Service
from tests.kube.build import built
from tests.ports import free_port

MANIFESTS = ROOT / "deploy" / "kubernetes"
TOKEN = "kube-test-admin"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "governance")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    cert_path, key_path = folder / "tls.crt", folder / "tls.key"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(_pem(key))
    return cert_path, key_path


def _pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Cluster:
    """kube-apiserver and etcd, and kubectl against them."""

    def __init__(self, folder: Path, programs: dict[str, Path]) -> None:
        self.folder = folder
        self._programs = programs
        self._processes: list[subprocess.Popen] = []
        self.port = free_port()

    def start(self) -> Cluster:
        etcd_port, peer_port = free_port(), free_port()
        etcd = f"http://127.0.0.1:{etcd_port}"
        peer = f"http://127.0.0.1:{peer_port}"
        self._run(
            "etcd", "--data-dir", str(self.folder / "etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        )  # fmt: skip
        (self.folder / "sa.key").write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
        (self.folder / "tokens").write_text(f"{TOKEN},admin,admin,system:masters\n")
        self._run(
            "kube-apiserver", f"--etcd-servers={etcd}", f"--service-account-key-file={self.folder}/sa.key",
            f"--service-account-signing-key-file={self.folder}/sa.key", "--service-account-issuer=https://kubernetes.test",
            f"--secure-port={self.port}", "--bind-address=127.0.0.1", f"--cert-dir={self.folder}/certs",
            "--service-cluster-ip-range=10.0.0.0/24", f"--token-auth-file={self.folder}/tokens", "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
        )  # fmt: skip
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if (
                    httpx.get(f"https://127.0.0.1:{self.port}/readyz", verify=False, headers=self._headers()).text
                    == "ok"
                ):
                    return self
            time.sleep(0.2)
        raise AssertionError((self.folder / "kube-apiserver.log").read_text()[-3000:])

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {TOKEN}"}

    def _run(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen([str(self._programs[name]), *argv], stdout=log, stderr=log, cwd=self.folder)
            )

    def kubectl(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs["kubectl"]), f"--server=https://127.0.0.1:{self.port}", f"--token={TOKEN}",
             "--insecure-skip-tls-verify", f"--cache-dir={self.folder}/cache", *argv],
            input=stdin, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def apply(self, *documents: object, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return self.kubectl("apply", *flags, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def api(self, method: str, path: str, **options) -> httpx.Response:
        headers = {**self._headers(), **options.pop("headers", {})}
        return httpx.request(method, f"https://127.0.0.1:{self.port}{path}", verify=False, headers=headers, **options)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    programs = built()
    if programs is None:
        pytest.skip(
            "no kube-apiserver and etcd here; `make test-kube` builds the one and says how to install the other"
        )
    running = Cluster(tmp_path_factory.mktemp("cluster"), programs).start()
    yield running
    running.stop()


def install(cluster: Cluster, service: Service, cert: Path) -> None:
    """The webhook configurations of `deploy/kubernetes`, with the address and certificate of a service on this machine."""
    for document in yaml.safe_load_all((MANIFESTS / "webhook.yaml").read_text()):
        for hook in document["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] = {"url": service.url + path, "caBundle": base64.b64encode(cert.read_bytes()).decode()}
        done = cluster.apply(document)
        assert done.returncode == 0, done.stderr


def prepare(cluster: Cluster) -> None:
    """What `deploy/kubernetes` brings beside the webhook: definitions, runtime classes and the net under it, in force."""
    files = [*sorted((MANIFESTS / "crds").glob("*.yaml")), MANIFESTS / "runtimeclasses.yaml", MANIFESTS / "policy.yaml"]
    for path in files:
        done = cluster.kubectl("apply", "-f", str(path))
        assert done.returncode == 0, done.stderr
    done = cluster.kubectl("wait", "--for=condition=Established", "crd/microapps.microapps.internal", "--timeout=30s")
    assert done.returncode == 0, done.stderr
    for name in ("apps", "labelled"):
        assert cluster.kubectl("create", "namespace", name).returncode == 0
    label = "pod-security.kubernetes.io/enforce=baseline"
    assert cluster.kubectl("label", "namespace", "labelled", label).returncode == 0
    bad = yaml.safe_load((EXAMPLES / "app.yaml").read_text())
    bad["metadata"] = {"name": "probe", "namespace": "apps"}
    deadline = time.monotonic() + 60
    while "ValidatingAdmissionPolicy" not in cluster.apply(bad, flags=("--dry-run=server",)).stderr:
        assert time.monotonic() < deadline, "the policy did not come into force"


def let_go_on(cluster: Cluster) -> None:
    """As deploy/README.md says for an emergency: what the net does not refuse is stored while nobody can decide."""
    for kind in ("validatingwebhookconfiguration", "mutatingwebhookconfiguration"):
        hooks = yaml.safe_load(cluster.kubectl("get", kind, "microapp-governance", "-o", "yaml").stdout)["webhooks"]
        patch = [
            {"op": "replace", "path": f"/webhooks/{i}/failurePolicy", "value": "Ignore"} for i in range(len(hooks))
        ]
        done = cluster.kubectl("patch", kind, "microapp-governance", "--type=json", "-p", yaml.safe_dump(patch))
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def platform(cluster):
    prepare(cluster)
    return cluster


@pytest.fixture(scope="session")
def certificate_files(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def webhook(platform, certificate_files, tmp_path_factory):
    """The service behind the cluster's door, with the configurations of `deploy/kubernetes`."""
    cert, key = certificate_files
    home = tmp_path_factory.mktemp("webhook") / "home"
    service = Service(
        home, "--workers", "2", "--tls-cert", str(cert), "--tls-key", str(key),
        GOVERNANCE_ADMISSION="open", GOVERNANCE_BUDGET_MS="8000",
    ).start()  # fmt: skip
    install(platform, service, cert)
    yield service
    service.stop()
