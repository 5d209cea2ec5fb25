"""`make demo-kube`: a real kube-apiserver with the webhook at its door, in the words that kubectl says."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.journeys.service import EXAMPLES, Service  # noqa: E402
from tests.kube.build import built  # noqa: E402
from tests.kube.conftest import Cluster, certificate, install, let_go_on, prepare  # noqa: E402

WORKLOADS = ROOT / "deploy" / "examples" / "kubernetes"


def show(title: str, cluster: Cluster, *argv: str) -> int:
    """One kubectl command and what it answers."""
    print(f"\n{title}\n  $ kubectl {' '.join(argv).replace(f'{ROOT}/', '')}")
    done = cluster.kubectl(*argv)
    print(textwrap.indent((done.stdout + done.stderr).strip().replace(f"{ROOT}/", ""), "    "))
    return done.returncode


def refused(code: int) -> None:
    """A demo that shows the opposite of what it says is a failure."""
    if code == 0:
        raise SystemExit("this was to be refused")


def main() -> int:
    programs = built()
    if programs is None:
        print("no kube-apiserver and etcd here; `make test-kube` says what is missing")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="governance-kube-"))
    cert, key = certificate(folder)
    cluster = Cluster(folder, programs)
    service = Service(folder / "home", "--tls-cert", str(cert), "--tls-key", str(key), GOVERNANCE_ADMISSION="open")
    try:
        cluster.start()
        prepare(cluster)
        install(cluster, service.start(), cert)
        tell(cluster, service)
    finally:
        service.stop()
        cluster.stop()
    return 0


def tell(cluster: Cluster, service: Service) -> None:
    """Refused, mutated and admitted, and refused without the webhook."""
    bad, good = str(WORKLOADS / "deployment-bad.yaml"), str(WORKLOADS / "deployment-good.yaml")
    refused(show("1. A bad Deployment is refused, rule by rule.", cluster, "apply", "-n", "apps", "-f", bad))
    app = str(EXAMPLES / "app.yaml")
    refused(show("2. So is an app whose manifest asks for too much.", cluster, "apply", "-n", "apps", "-f", app))
    if show("3. The good Deployment is admitted …", cluster, "apply", "-n", "apps", "-f", good):
        raise SystemExit("this was to be admitted")
    place = "jsonpath={.spec.template.spec.runtimeClassName} {.spec.template.spec.containers[0].resources.limits}"
    show("… with what it did not say.", cluster, "get", "deployment", "lunch", "-n", "apps", "-o", place)
    os.killpg(service.pid, signal.SIGKILL)
    again = ("apply", "-n", "apps", "-f", bad, "--request-timeout=60s")
    refused(show("4. The webhook is killed: nothing is stored that nobody could decide on.", cluster, *again))
    let_go_on(cluster)
    dry = ("apply", "-n", "apps", "-f", good, "--dry-run=server")
    service.wait_until(lambda: cluster.kubectl(*dry).returncode == 0, 60)
    refused(show("5. An operator lets deploys go on (failurePolicy Ignore): the net still holds.", cluster, *again))


if __name__ == "__main__":
    sys.exit(main())
