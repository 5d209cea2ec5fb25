"""Sources of bundles against a real server and a real repository: what is taken, what is refused, and that it ends."""

import subprocess
import time

import pytest

from governance.errors import CallerError
from governance.platform.bundles.git_source import fetch_git
from governance.platform.bundles.http_source import fetch_http
from governance.platform.bundles.sources import FetchFailed, Terms, git_place, sources_of
from governance.policy.bundle import load_bundle
from governance.settings import Settings
from tests.journeys.bundle_server import BundleServer

TERMS = Terms(timeout_s=2, wait_s=0, poll_s=1, most_bytes=1_000_000, token_file="", max_age_s=0)


@pytest.fixture
def server():
    running = BundleServer()
    running.content = b"the archive"
    yield running
    running.stop()


def test_what_is_known_already_is_not_sent_again(server):
    first = fetch_http(server.url, "", TERMS, wait=False)
    assert (first.content, first.http_code) == (b"the archive", 200)
    again = fetch_http(server.url, first.etag, TERMS, wait=False)
    assert (again.content, again.http_code) == (None, 304)
    assert server.seen[1]["prefer"] == "modes=snapshot"


def test_a_long_poll_is_answered_when_there_is_news(server, tmp_path):
    etag = fetch_http(server.url, "", TERMS, wait=False).etag
    found = fetch_http(server.url, etag, TERMS._replace(wait_s=1), wait=True)
    assert found.is_long_poll
    assert found.http_code == 304
    assert server.seen[-1]["prefer"] == "modes=snapshot;wait=1"


@pytest.mark.parametrize("mode", ["500", "redirect", "huge", "truncated"])
def test_a_server_that_answers_badly_is_a_failure_with_its_reason(server, mode):
    server.mode = mode
    with pytest.raises(FetchFailed) as failed:
        fetch_http(server.url, "", TERMS, wait=False)
    assert server.url in str(failed.value)
    assert len(server.seen) == 1, "a redirect is not followed"


def test_a_server_that_hangs_costs_no_more_than_the_time_out(server):
    server.mode = "hang"
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="ReadTimeout"):
        fetch_http(server.url, "", TERMS._replace(timeout_s=1), wait=False)
    assert time.monotonic() - began < 20


def test_the_token_is_read_each_time_and_never_quoted(server, tmp_path):
    server.token = "s3cret-token"
    file = tmp_path / "token"
    file.write_text("s3cret-token\n")
    terms = TERMS._replace(token_file=str(file))
    assert fetch_http(server.url, "", terms, wait=False).content == b"the archive"
    file.write_text("other-token")
    with pytest.raises(FetchFailed, match="HTTP 401") as failed:
        fetch_http(server.url, "", terms, wait=False)
    assert "token" not in str(failed.value)
    file.write_text("two\nlines")
    with pytest.raises(FetchFailed, match="holds no token"):
        fetch_http(server.url, "", terms, wait=False)


@pytest.mark.parametrize(
    ("location", "key", "message"),
    [
        ("http://bundles.example/b.tar.gz", "", "anybody on the way"),
        ("git+http://git.example/b@main", "/key", "anybody on the way"),
        ("https://user:word@bundles.example/b", "", "holds a credential"),
        ("git+ext::sh -c evil@main", "", "names no ref"),
        ("git+ext://x/y@main", "", "is not fetched"),
        ("git+https://git.example/b", "", "names no ref"),
        ("git+https://git.example/b@--upload-pack=evil", "", "names no ref"),
        ("git+https://git.example/b@a..b", "", "names no ref"),
        ("git+https://git.example/b@main#../../etc", "", "is not a folder"),
        ("git+https://git.example/b@main#--output=x", "", "is not a folder"),
    ],
)
def test_a_location_that_must_not_be_fetched_is_refused_by_name(location, key, message):
    with pytest.raises(CallerError, match=message):
        sources_of(Settings({"bundle": location, "bundle_key": key}))


def test_plain_http_is_taken_from_this_machine_and_where_the_signature_is_verified():
    assert sources_of(Settings({"bundle": "http://127.0.0.1:9/b"}))[0].kind == "http"
    assert sources_of(Settings({"bundle": "http://far.example/b", "bundle_key": "/key"}))[0].kind == "http"
    named = sources_of(Settings({"extra_bundles": "a, v0:b ,https://x.example/c"}))
    assert [(s.name, s.location, s.v0, s.kind) for s in named[1:]] == [
        ("extra-1", "a", False, "local"), ("extra-2", "b", True, "local"), ("extra-3", "https://x.example/c", False, "http")
    ]  # fmt: skip


def git(folder, *argv):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *argv],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "policy"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "a.rego").write_text("package a\n\np := 1\n")
    (folder / "secret.txt").write_text("not below the folder")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def test_a_ref_gives_its_tree_and_names_the_commit(repository, tmp_path):
    location = f"git+file://{repository}@main#rules"
    found = fetch_git(location, "", TERMS._replace(timeout_s=30), tmp_path / "kept")
    commit = git(repository, "rev-parse", "HEAD")
    assert found.revision == f"git:{commit}"
    (tmp_path / "b.tar.gz").write_bytes(found.content)
    assert [module.path for module in load_bundle(str(tmp_path / "b.tar.gz")).modules] == ["a.rego"]
    assert fetch_git(location, commit, TERMS._replace(timeout_s=30), tmp_path / "kept").content is None
    (repository / "rules" / "a.rego").write_text("package a\n\np := 2\n")
    git(repository, "commit", "--quiet", "-am", "two")
    newer = fetch_git(location, commit, TERMS._replace(timeout_s=30), tmp_path / "kept")
    assert newer.content is not None
    assert newer.revision != found.revision
    pinned = fetch_git(f"git+file://{repository}@{commit}#rules", "", TERMS._replace(timeout_s=30), tmp_path / "other")
    assert pinned.revision == f"git:{commit}"


def test_a_ref_that_is_not_there_is_a_failure(repository, tmp_path):
    with pytest.raises(FetchFailed, match="git:"):
        fetch_git(f"git+file://{repository}@nowhere", "", TERMS._replace(timeout_s=30), tmp_path / "kept")


def test_a_path_to_a_repository_is_a_place_as_well(tmp_path):
    assert git_place("git+ssh://git@host.example/p@v1").url == "ssh://git@host.example/p"
    assert git_place(f"git+{tmp_path}@v1.0").url == f"file://{tmp_path}"
