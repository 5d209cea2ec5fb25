"""A real authorization server at a vendor's host: authlib's, behind the same TLS double as the vendor's own API.

Authorization code with PKCE and `iss` (RFC 9207), rotating refresh tokens, device flow, client credentials, token exchange,
revocation; with `dpop`, tokens bound to a key and a nonce of its own; with `mutual_tls`, tokens bound to the certificate that
was presented for them (RFC 8705), which also signs a client in. The API at `/api/` takes only its tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from urllib.parse import parse_qsl, urlsplit

import httpx
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError, OAuth2Error
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    BaseGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc6749.grants.base import TokenEndpointMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oauth2.rfc9207 import IssuerParameter
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from governance.platform.broker.doubles import Double, Reply
from tests.leaks import CLIENT_SECRET

ISSUER = "https://login.vendor.example"
CLIENT_ID = "broker-1"
USER = "vendor-user-7"
NONCE = "nonce-of-the-server"


METHODS = ("client_secret_basic", "tls_client_auth")


class InvalidProof(OAuth2Error):
    error = "invalid_dpop_proof"


class UseNonce(OAuth2Error):
    error = "use_dpop_nonce"


class Client:
    """The one registered client."""

    client_id = CLIENT_ID

    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri.endswith(("/v1/oauth/calendar/callback", "/v1/oauth/other/callback"))

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(client_secret, CLIENT_SECRET)

    def check_endpoint_auth_method(self, method, endpoint):
        return method in METHODS

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return True


class Row(dict):
    """A code, a token or a device's question, as authlib's models want to see it."""

    def get_redirect_uri(self):
        return self["redirect_uri"]

    def get_scope(self):
        return self["scope"]

    def get_client_id(self):
        return CLIENT_ID

    def check_client(self, client):
        return client.client_id == CLIENT_ID

    def is_expired(self):
        return False

    @property
    def code_challenge(self):
        return self["challenge"]

    @property
    def code_challenge_method(self):
        return self["method"]


class Codes(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code, request):
        data = request.payload.data
        self.server.codes[code] = Row(
            redirect_uri=data["redirect_uri"], scope=self.server.narrowed(data["scope"]), nonce=data.get("nonce"),
            challenge=data["code_challenge"], method=data["code_challenge_method"],
        )  # fmt: skip

    def query_authorization_code(self, code, client):
        return self.server.codes.get(code)

    def delete_authorization_code(self, authorization_code):
        self.server.codes = {c: row for c, row in self.server.codes.items() if row is not authorization_code}

    def authenticate_user(self, authorization_code):
        return USER


class Refresh(RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = self.server.refresh.get(refresh_token)
        if found is not None and found["is_used"]:
            # A rotated token that comes back was stolen, from us or from whom it was taken: the family ends.
            self.server.end_all()
            return None
        return found

    def authenticate_user(self, refresh_token):
        return USER

    def revoke_old_credential(self, refresh_token):
        refresh_token["is_used"] = True


class ClientCredentials(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class Devices(DeviceCodeGrant):
    def query_device_credential(self, device_code):
        return self.server.devices.get(device_code)

    def query_user_grant(self, user_code):
        said = self.server.device_answers.get(user_code)
        return None if said is None else (USER, said)

    def should_slow_down(self, credential):
        credential["asked"] = credential.get("asked", 0) + 1
        return credential["asked"] == 2


class DeviceQuestions(DeviceAuthorizationEndpoint):
    INTERVAL = 1

    def get_verification_uri(self):
        return f"{ISSUER}/device"

    def save_device_credential(self, client_id, scope, data):
        self.server.devices[data["device_code"]] = Row(scope=scope, user_code=data["user_code"])


Row.get_user_code = lambda row: row["user_code"]


class Exchange(BaseGrant, TokenEndpointMixin):
    """RFC 8693 for a subject that the broker's published keys vouch for."""

    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"

    def validate_token_request(self):
        data = self.request.payload.data
        try:
            token = jwt.decode(
                data["subject_token"], KeySet.import_key_set(self.server.trusted()), algorithms=["Ed25519"]
            )
        except Exception as error:
            raise InvalidGrantError("the subject token is not valid") from error
        claims = token.claims
        if claims["aud"] != ISSUER or claims["exp"] < self.server.clock() or claims["sub"] != "dates":
            raise InvalidGrantError("the subject token is for somebody else")
        if "admin" in data.get("scope", "").split():
            raise InvalidScopeError

    def create_token_response(self):
        token = self.server.issued(self.request.payload.data["scope"], is_renewable=False)
        return 200, {**token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}, []


class Revocation(RevocationEndpoint):
    def query_token(self, token_string, token_type_hint):
        for kept in (self.server.refresh, self.server.access):
            if token_string in kept:
                return Row(token=token_string)
        return None

    def revoke_token(self, token, request):
        self.server.revoked.append(token["token"])
        self.server.refresh.pop(token["token"], None)
        self.server.access.pop(token["token"], None)


class Issuer(IssuerParameter):
    def get_issuer(self):
        return ISSUER


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.body = status, json.dumps(body) if isinstance(body, dict) else body
        self.headers = dict(headers or [])

    @property
    def location(self):
        return self.headers.get("Location")

    @location.setter
    def location(self, value):
        self.headers["Location"] = value


class Server(AuthorizationServer):
    def __init__(self):
        super().__init__()
        self.codes, self.refresh, self.access, self.devices, self.device_answers = {}, {}, {}, {}, {}
        self.revoked, self.used_proofs = [], set()
        self.lives_s, self.user_says_yes, self.leaves_out, self.dpop = 3600, True, "", False
        self.trusted = lambda: {"keys": []}
        self.bound_to, self.clock = "", time.time
        self.mutual_tls, self.presented, self.own_certificate = False, "", ""
        self.register_token_generator("default", self.generated)
        self.register_grant(Codes, [CodeChallenge(required=True)])
        self.register_client_auth_method("tls_client_auth", self.known_by_certificate)
        for grant in (Refresh, ClientCredentials, Devices, Exchange):
            self.register_grant(grant)
        self.register_endpoint(DeviceQuestions)
        self.register_endpoint(Revocation)
        self.register_extension(Issuer())

    def query_client(self, client_id):
        return Client() if client_id == CLIENT_ID else None

    def known_by_certificate(self, query_client, request):
        """RFC 8705, section 2: the certificate is the client's, so no secret is asked for."""
        if not self.own_certificate or self.presented != self.own_certificate:
            return None
        return query_client(request.payload.data.get("client_id", ""))

    def save_token(self, token, request):
        """Kept when it was made."""

    def send_signal(self, name, *args, **kwargs):
        """Nobody listens."""

    def create_oauth2_request(self, request):
        made = OAuth2Request(request.method, f"{ISSUER}{request.target}", headers={**request.headers})
        made.headers = {"Authorization": request.headers.get("authorization", "")}
        data = dict(parse_qsl(urlsplit(request.target).query) + parse_qsl(request.body.decode()))
        made._body = data
        made.payload = BasicOAuth2Payload(data)
        return made

    def handle_response(self, status, body, headers):
        return Answer(status, body, headers)

    def narrowed(self, scope):
        return " ".join(one for one in scope.split() if one != self.leaves_out)

    def generated(self, grant_type, client, user=None, scope=None, expires_in=None, include_refresh_token=True):
        return self.issued(scope, is_renewable=include_refresh_token and user is not None)

    def issued(self, scope, *, is_renewable):
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        self.access[access] = {"scope": scope, "bound_to": self.bound_to, "ends": self.clock() + self.lives_s}
        if self.mutual_tls:
            self.access[access]["cnf"] = {"x5t#S256": self.presented}
        token = {
            "access_token": access, "token_type": "DPoP" if self.bound_to else "Bearer", "expires_in": self.lives_s,
            "scope": scope,
        }  # fmt: skip
        if is_renewable:
            self.refresh[refresh] = Row(scope=scope, is_used=False)
            token["refresh_token"] = refresh
        return token

    def end_all(self):
        self.access.clear()
        self.refresh.clear()


def thumbprint(certificate):
    """`x5t#S256` (RFC 8705, section 3.1) of a certificate in DER; empty for none."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=") if certificate else ""


class Vendor:
    """Authorization server and API of one vendor, at one host."""

    def __init__(self, folder, host="login.vendor.example", clients=()):
        self.server, self.is_down = Server(), False
        self.double = Double(host, folder, self._answer, clients).start()
        self.body = {"value": [{"displayName": "Ada Example", "mail": "ada@example.com", "free": "monday"}]}

    def visit(self, url):
        """As a browser that was sent here by a redirect; gives where it is sent next."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == ISSUER
        place = f"https://127.0.0.1:{self.double.pin['port']}{parts.path}?{parts.query}"
        answer = httpx.get(place, headers={"host": parts.netloc}, verify=False, timeout=30)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def stop(self):
        self.double.stop()

    def _answer(self, asked):
        if self.is_down:
            return Reply(b"", status=503)
        if asked.path.startswith("/api/"):
            return self._api(asked)
        self.server.presented = thumbprint(asked.certificate)
        if self.server.mutual_tls and asked.path != "/authorize" and not asked.certificate:
            return Reply(b'{"error": "invalid_client"}', status=401)
        try:
            self.server.bound_to = self._proved(asked)
        except OAuth2Error as error:
            body = json.dumps({"error": error.error}).encode()
            return Reply(body, status=400, headers={"dpop-nonce": NONCE})
        answer = self._protocol(asked)
        return Reply(answer.body.encode(), status=answer.status, headers=answer.headers)

    def _protocol(self, asked):
        server = self.server
        if asked.path == "/authorize":
            user = USER if server.user_says_yes else None
            request = server.create_oauth2_request(asked)
            return server.create_authorization_response(request, user, server.get_authorization_grant(request))
        if asked.path == "/revoke":
            return server.create_endpoint_response("revocation", asked)
        if asked.path == "/device":
            return server.create_endpoint_response("device_authorization", asked)
        assert asked.path == "/token", asked.path
        return server.create_token_response(asked)

    def _proved(self, asked):
        if not self.server.dpop or asked.path != "/token":
            return ""
        return self._proof(asked, f"{ISSUER}/token", "")

    def _proof(self, asked, url, token):
        """RFC 9449, section 4.3: what a server checks of a proof; gives the key's thumbprint."""
        presented = asked.headers.get("dpop", "")
        try:
            head = json.loads(base64.urlsafe_b64decode(presented.split(".")[0] + "=="))
            key = ECKey.import_key(head["jwk"])
            claims = jwt.decode(presented, key, algorithms=["ES256"]).claims
        except Exception as error:
            raise InvalidProof("no proof") from error
        if head["typ"] != "dpop+jwt" or "d" in head["jwk"] or claims["jti"] in self.server.used_proofs:
            raise InvalidProof("a proof that was used, or is none")
        self.server.used_proofs.add(claims["jti"])
        if claims.get("nonce") != NONCE:
            raise UseNonce("a nonce is needed")
        if (claims["htm"], claims["htu"]) != (asked.method, url) or abs(claims["iat"] - self.server.clock()) > 60:
            raise InvalidProof("a proof for another request")
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")
        if token and claims.get("ath") != digest:
            raise InvalidProof("a proof for another token")
        return key.thumbprint()

    def _api(self, asked):
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        known = self.server.access.get(token)
        if known is None or known["ends"] <= self.server.clock() or kind != ("DPoP" if known["bound_to"] else "Bearer"):
            return Reply(b'{"error": "invalid_token"}', status=401)
        if "cnf" in known and known["cnf"]["x5t#S256"] != thumbprint(asked.certificate):
            return Reply(b'{"error": "invalid_token"}', status=401)
        if known["bound_to"]:
            try:
                is_bound = self._proof(asked, f"{ISSUER}{asked.path}", token) == known["bound_to"]
            except UseNonce:
                return Reply(b'{"error": "use_dpop_nonce"}', status=401, headers={"dpop-nonce": NONCE})
            except InvalidProof:
                is_bound = False
            if not is_bound:
                return Reply(b'{"error": "invalid_token"}', status=401)
        return Reply(json.dumps(self.body).encode())
