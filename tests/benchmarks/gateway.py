"""What the gateway costs: CPU a request against a bare Envoy route, and how long changes take with many apps.

    python tests/benchmarks/gateway.py [--apps 1000] [--rounds 40] [--requests 200]

Both Envoys answer from the same upstream, a third Envoy with a direct response, and are asked by turns, a short while each, so
that what else the machine does hits both; the CPU is that of the asked process alone, to the nanosecond. Rows: a known key with
RBAC and a token bucket; the same with answers and headers looked into; a verified token (JWT, kept in Envoy's cache) for
the key.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from runtime_adapters.gateway.applying import GatewayFolder  # noqa: E402
from runtime_adapters.gateway.process import Envoy, envoy_program  # noqa: E402
from runtime_adapters.gateway.state import (  # noqa: E402
    AppRoute,
    Backend,
    Endpoint,
    GatewayState,
    Grant,
    Listener,
    RateLimit,
)
from tests.contract.gateways import key, presented  # noqa: E402
from tests.contract.test_gateway import Issuer  # noqa: E402
from tests.ports import free_port  # noqa: E402

BODY = json.dumps({"dishes": [f"dish number {number}" for number in range(40)]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=200, help="in each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    upstream, bare, port = free_port(), free_port(), free_port()
    plain = [start(folder / "up.json", upstream, {"direct_response": {"status": 200, "body": {"inline_string": BODY}}}),
             start(folder / "bare.json", bare, {"route": {"cluster": "up"}}, upstream)]  # fmt: skip
    program = envoy_program()
    gateway = GatewayFolder(folder / "xds", program)

    def state(**changes) -> GatewayState:
        apps = [
            app(number, upstream, redact=("email", "iban", "card") if number == 1 else ())
            for number in range(options.apps)
        ]
        log = str(folder / "access.log")
        return GatewayState(
            (Listener("eu", "127.0.0.1", port, "eu"),), tuple(apps), (key("ab"),), access_log=log
        )._replace(**changes)

    gateway.apply(state()._replace(apps=state().apps[:2]))
    envoy = Envoy(program, gateway.path).start()
    try:
        took = gateway.apply(state(), [envoy.admin_socket]).took_s
        print(f"{options.apps} apps in force after {took:.2f} s, Envoy's own look through them and its answer included")
        revoked = gateway.apply(state(keys=()), [envoy.admin_socket]).took_s
        gateway.apply(state(), [envoy.admin_socket])
        print(f"a key revoked after {revoked:.2f} s, from the call to Envoy's answer that it took it")
        by_key, issuer = f"x-api-key: {presented('ab')}", Issuer()
        by_token = f"authorization: Bearer {issuer.token(role='service', exp=int(time.time()) + 86_400)}"
        for name, host, who in (
            ("key, RBAC, token bucket, access log", "app-0", by_key),
            ("the same, answers looked into", "app-1", by_key),
            ("a token in the place of the key", "app-0", by_token),
        ):
            if who is by_token:
                gateway.apply(state(providers=(issuer.provider(),)), [envoy.admin_socket])
            pairs = []
            for _ in range(options.rounds):
                ours = cpu_us(envoy.pid, port, f"{host}.example.com", who, options.requests)
                theirs = cpu_us(plain[1].pid, bare, "bare", who, options.requests)
                pairs.append((ours / theirs, ours, theirs))
            ratios = sorted(pair[0] for pair in pairs)
            ours, theirs = (statistics.median(pair[at] for pair in pairs) for at in (1, 2))
            spread = f"{ratios[len(ratios) // 4]:.2f}-{ratios[3 * len(ratios) // 4]:.2f}"
            print(
                f"{name}: {statistics.median(ratios):.2f} x a bare route ({spread}); {ours:.0f} against {theirs:.0f} us"
            )
    finally:
        envoy.stop()
        for process in plain:
            process.terminate()
            process.wait()


def app(number: int, upstream: int, redact: tuple[str, ...]) -> AppRoute:
    return AppRoute(
        f"app-{number}", "marketing", "d", (f"app-{number}.example.com",),
        (Backend("stable", (Endpoint("127.0.0.1", upstream),)), Backend("canary", (Endpoint("127.0.0.1", upstream),), 5)),
        ("eu",), grants=(Grant(("service",), ("marketing",)),), rate=RateLimit(1_000_000, 1), redact=redact,
        asks=False,
    )  # fmt: skip


def start(
    file: Path, port: int, action: dict, upstream: int = 0, transport: dict | None = None
) -> subprocess.Popen[bytes]:
    """A plain Envoy; `transport`: the transport socket towards its upstream, where that speaks TLS."""
    hcm = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    added = [{"header": {"key": "content-type", "value": "application/json"}}]
    manager = {
        "@type": hcm, "stat_prefix": "plain", "http_filters": [{"name": "router", "typed_config": router}],
        "route_config": {"virtual_hosts": [host], "response_headers_to_add": [] if upstream else added},
    }  # fmt: skip
    listener = {
        "address": address(port), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }  # fmt: skip
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]
    cluster = {"name": "up", "load_assignment": {"cluster_name": "up", "endpoints": endpoints}}
    cluster |= {"transport_socket": transport} if transport else {}
    file.write_text(
        json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster] if upstream else []}})
    )
    argv = [envoy_program(), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
    process = subprocess.Popen(argv)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            break
    return process


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def cpu_us(pid: int, port: int, host: str, who: str, requests: int) -> float:
    """CPU of the process over so many requests on one connection, each checked to be a yes. `who`: a header line."""
    wire = f"GET / HTTP/1.1\r\nhost: {host}\r\n{who}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask(connection, wire, 20)
        before = cpu_ns(pid)
        ask(connection, wire, requests)
        return (cpu_ns(pid) - before) / 1000 / requests


def ask(connection: socket.socket, wire: bytes, times: int) -> None:
    for _ in range(times):
        connection.sendall(wire)
        answer = b""
        while BODY.encode()[-20:] not in answer:
            more = connection.recv(65536)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 200"), answer[:300]


def cpu_ns(pid: int) -> int:
    """Of all threads (proc_pid_schedstat: the first number), where the clock's ticks would be a whole round's error."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


if __name__ == "__main__":
    main()
