"""TLS: a certificate for trying out, and a new one taken up while requests go on."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import threading

import httpx
import pytest

from governance.platform.certificates import self_signed
from tests.journeys.service import Service, governance


def served(service: Service) -> str:
    host, port = service.url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


def workers(service: Service) -> list[int]:
    """The workers are forks of the service; its writer and keeper are programs of their own."""
    return [pid for pid in service.children("serve") if pid != service.pid]


@pytest.fixture
def service(tmp_path):
    cert, key = self_signed(tmp_path / "first", ["localhost", "127.0.0.1"])
    for file in (cert, key):
        shutil.copy(file, tmp_path / file.name)
    running = Service(
        tmp_path / "home",
        "--workers",
        "2",
        "--tls-cert",
        str(tmp_path / "tls.crt"),
        "--tls-key",
        str(tmp_path / "tls.key"),
    ).start()
    yield running
    running.stop()


def asked_until(stop: threading.Event, ask, failed: list[str]) -> threading.Thread:
    """Ask without a pause in a thread of its own; what fails is noted."""

    def run() -> None:
        while not stop.is_set():
            try:
                if (status := ask().status_code) != 200:
                    failed.append(str(status))
            except httpx.TransportError as error:
                failed.append(repr(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_new_certificate_is_served_without_a_request_that_fails(service, tmp_path):
    """Neither on connections that are made anew nor on ones that are kept."""
    before, first = served(service), set(workers(service))
    cert, key = self_signed(tmp_path / "second", ["127.0.0.1"])
    stop, failed = threading.Event(), []
    kept = httpx.Client(verify=False, timeout=60)
    url = f"{service.url}/healthz"
    # The context is made once: making one costs more than the request.
    context = httpx.create_ssl_context(verify=False)
    threads = [asked_until(stop, lambda: httpx.get(url, verify=context, timeout=60), failed) for _ in range(2)]
    threads.append(asked_until(stop, lambda: kept.get(url), failed))
    for file in (cert, key):
        shutil.copy(file, tmp_path / f"{file.name}.new")
    (tmp_path / "tls.key.new").rename(tmp_path / "tls.key")
    (tmp_path / "tls.crt.new").rename(tmp_path / "tls.crt")
    try:
        service.wait_until(lambda: served(service) != before, 60)
        service.wait_until(lambda: not set(workers(service)) & first, 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert {served(service) for _ in range(8)} == {cert.read_text()}


def test_one_that_is_none_leaves_the_old_one_in_place(service, tmp_path):
    before = served(service)
    (tmp_path / "tls.crt").write_text("not a certificate")
    service.wait_until(lambda: "not a pair" in service.log.read_text(), 20)
    assert served(service) == before
    # What starts now has the old one too.
    died = workers(service)
    for pid in died:
        os.kill(pid, signal.SIGKILL)
    service.wait_until(lambda: bool(set(workers(service)) - set(died)) and served(service) == before, 60)
    assert httpx.get(f"{service.url}/healthz", verify=False, timeout=60).status_code == 200


def test_a_certificate_for_trying_out_is_made_once_and_kept(tmp_path):
    service = Service(tmp_path / "home", "--tls-self-signed", "127.0.0.1,governance.example")
    service.is_tls = True
    service.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "home" / "tls" / "tls.crt"))
        assert httpx.get(f"{service.url}/healthz", verify=context, timeout=60).status_code == 200
        assert "SELF-SIGNED" in service.log.read_text()
        assert (tmp_path / "home" / "tls" / "tls.key").stat().st_mode & 0o077 == 0
        first = served(service)
    finally:
        service.stop()
    again = self_signed(tmp_path / "home" / "tls", ["127.0.0.1"])[0]
    assert again.read_text() == first


@pytest.mark.parametrize(
    "options",
    [
        ("--tls-cert", "absent.crt", "--tls-key", "absent.key"),
        ("--tls-cert", "x"),
        ("--tls-self-signed", "a", "--tls-cert", "b"),
    ],
)
def test_what_is_no_pair_does_not_start(tmp_path, options):
    done = governance("serve", "--port", "1", *options, home=tmp_path)
    assert done.returncode == 2
    assert b"--tls" in done.stderr or b"pair" in done.stderr
