"""Vaults for the tests: a double that speaks the part of the HTTP API that we use, and a real server where there is one.

The real one is `bao` (OpenBao) or `vault` on the PATH, or what VAULT_PROGRAM names; it runs in memory, for one test run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.ports import free_port
from tests.serving import serve

PROGRAM = os.environ.get("VAULT_PROGRAM") or shutil.which("bao") or shutil.which("vault")
ROOT_TOKEN = "root-of-the-tests"
POLICY = """
path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/*" { capabilities = ["update"] }
"""
KEY = RSAKey.generate_key(2048, private=True)


def token_of(audience: str = "vault") -> str:
    """A workload's JWT, as a cluster or a CI system issues it."""
    now = int(time.time())
    claims = {
        "sub": "governance",
        "aud": audience,
        "iss": "https://issuer.example",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    return jwt.encode({"alg": "RS256"}, claims, KEY)


class Double:
    """KV version 2, AppRole, Kubernetes and JWT sign-in, leases; checks what a real one would check of the request."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, dict | None]] = {}
        self.tokens: set[str] = {ROOT_TOKEN}
        self.leases: dict[str, int] = {}
        self.revoked: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.sealed, self.lease_s, self.renews_for = False, 60, 60
        self.role_id, self.secret_id = "role-1", "secret-id-not-to-be-seen"
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                status, said = double.answer(self.command, self.path, self.headers, json.loads(body or b"null"))
                raw = b"" if said is None else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_DELETE = do_LIST = _any  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve(self._server)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method, path, headers, body):
        path = path.removeprefix("/v1/")
        self.asked.append((method, path))
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path.startswith("auth/"):
            return self._login(path, body)
        if headers.get("x-vault-token") not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("sys/leases/"):
            return self._lease(path, body)
        if path == "database/creds/reader":
            return self._made()
        mount, _, rest = path.partition("/")
        return self._kv(method, *rest.split("/", 1), body) if mount == "secret" else (404, {"errors": []})

    def _login(self, path, body):
        good = {
            "auth/approle/login": {"role_id": self.role_id, "secret_id": self.secret_id},
            "auth/kubernetes/login": {"role": "governance"},
            "auth/jwt/login": {"role": "governance"},
        }.get(path)
        if good is None or any(body.get(name) != value for name, value in good.items()):
            return 400, {"errors": [f"invalid {body}"]}
        if "jwt" in body:
            try:
                jwt.decode(body["jwt"], KEY, algorithms=["RS256"])
            except (JoseError, ValueError):
                return 403, {"errors": ["permission denied"]}
        token = f"token-{len(self.tokens)}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}

    def _made(self):
        lease = f"database/creds/reader/{len(self.leases) + len(self.revoked)}"
        self.leases[lease] = self.lease_s
        data = {"username": f"user-{len(self.leases) + len(self.revoked)}", "password": "leased-not-to-be-seen"}
        return 200, {"lease_id": lease, "lease_duration": self.lease_s, "renewable": True, "data": data}

    def _lease(self, path, body):
        if body["lease_id"] not in self.leases:
            return 400, {"errors": ["lease not found"]}
        if path.endswith("revoke"):
            del self.leases[body["lease_id"]]
            self.revoked.append(body["lease_id"])
            return 204, None
        return 200, {"lease_id": body["lease_id"], "lease_duration": self.renews_for, "renewable": True}

    def _kv(self, method, part, name, body):
        versions = self.values.get(name, {})
        newest = max(versions, default=0)
        if part == "metadata" and method == "LIST":
            below = {n.removeprefix(name) for n in self.values if n.startswith(name)}
            keys = sorted({f"{n.split('/')[0]}/" if "/" in n else n for n in below})
            return (200, {"data": {"keys": keys}}) if keys else (404, {"errors": []})
        if part == "metadata" and method == "DELETE":
            self.values.pop(name, None)
            return 204, None
        if part == "metadata":
            rows = {
                str(v): {"created_time": row["at"], "deletion_time": "", "destroyed": not row["value"]}
                for v, row in versions.items()
            }
            return (200, {"data": {"current_version": newest, "versions": rows}}) if rows else (404, {"errors": []})
        if part == "destroy":
            for version in body["versions"]:
                versions[version]["value"] = None
            return 204, None
        if method == "GET":
            row = versions.get(newest)
            return (200, {"data": {"data": row["value"]}}) if row and row["value"] else (404, {"errors": []})
        if body["options"]["cas"] != newest:
            return 400, {"errors": ["check-and-set parameter did not match the current version"]}
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.values.setdefault(name, {})[newest + 1] = {"value": body["data"], "at": at}
        return 200, {"data": {"version": newest + 1, "created_time": at}}


class Real:
    """One real server in memory, with the same roles as the double has."""

    def __init__(self, folder: Path, database: str = "") -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "vault.log").open("wb")
        argv = [
            PROGRAM,
            "server",
            "-dev",
            f"-dev-root-token-id={ROOT_TOKEN}",
            f"-dev-listen-address=127.0.0.1:{port}",
            "-dev-no-store-token",
        ]
        self._process = subprocess.Popen(
            argv, stdout=self._log, stderr=self._log, env={**os.environ, "HOME": str(folder)}
        )
        self._client = httpx.Client(base_url=f"{self.url}/v1/", headers={"X-Vault-Token": ROOT_TOKEN}, timeout=30)
        self._wait()
        self._arrange(database)

    def stop(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        self._log.close()

    def root(self, method: str, path: str, body=None):
        answer = self._client.request(method, path, json=body)
        assert answer.status_code < 300, f"{path}: {answer.text}"
        return answer.json() if answer.content else None

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self._client.get("sys/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the vault did not start")

    def _arrange(self, database: str) -> None:
        self.root("POST", "sys/policies/acl/governance", {"policy": POLICY})
        self.root("POST", "sys/auth/approle", {"type": "approle"})
        self.root("POST", "auth/approle/role/governance", {"token_policies": ["governance"]})
        self.role_id = self.root("GET", "auth/approle/role/governance/role-id")["data"]["role_id"]
        self.secret_id = self.root("POST", "auth/approle/role/governance/secret-id", {})["data"]["secret_id"]
        self.root("POST", "sys/auth/jwt", {"type": "jwt"})
        public = KEY.as_pem(private=False).decode()
        self.root(
            "POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public], "bound_issuer": "https://issuer.example"}
        )
        role = {"role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub", "token_policies": ["governance"]}
        self.root("POST", "auth/jwt/role/governance", role)
        if database:
            self._lease_users_of(database)

    def _lease_users_of(self, url: str) -> None:
        self.root("POST", "sys/mounts/database", {"type": "database"})
        about = {"plugin_name": "postgresql-database-plugin", "connection_url": url, "allowed_roles": ["reader"]}
        self.root("POST", "database/config/tests", about)
        made = ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]
        role = {"db_name": "tests", "creation_statements": made, "default_ttl": "60s", "max_ttl": "1h"}
        self.root("POST", "database/roles/reader", role)
