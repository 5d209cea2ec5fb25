"""Ways to make a broker connect somewhere else, and that none of them does."""

from __future__ import annotations

import asyncio

import pytest

from governance.errors import GovernanceError
from governance.platform.broker.addresses import Addresses, NotReachable, Pin, read_pins
from governance.platform.broker.doubles import Double, Reply
from governance.platform.broker.sending import Bounds, Rested, Sender, SendFailed, Sent, TooSlow
from tests.unit.broker.conftest import CALL, HOST

PATH = "/scim/v2/Users"
TRICKS = [
    f"http://{HOST}{PATH}",
    f"https://{HOST}:8443{PATH}",
    f"https://{HOST}:80{PATH}",
    f"https://{HOST}:0{PATH}",
    f"https://{HOST}:99999{PATH}",
    f"https://{HOST}:44３{PATH}",
    f"https://{HOST}@evil.example{PATH}",
    f"https://evil.example@{HOST}{PATH}",
    f"https://user:pass@{HOST}{PATH}",
    f"https://@{HOST}{PATH}",
    f"https://{HOST}%40evil.example{PATH}",
    f"https://{HOST}\\@evil.example{PATH}",
    f"https://{HOST}#@evil.example{PATH}",
    f"https://{HOST}?@evil.example{PATH}",
    f"https://{HOST}.evil.example{PATH}",
    f"https://evil.example/{HOST}{PATH}",
    f"https://evil.example?{HOST}{PATH}",
    f"https://evil.example#{HOST}{PATH}",
    f"https://evil.example\\.{HOST}{PATH}",
    f"https:///{HOST}{PATH}",
    f"https:/{HOST}{PATH}",
    f"https:{HOST}{PATH}",
    f"//{HOST}{PATH}",
    f"{HOST}{PATH}",
    f"/{PATH}",
    f"https:\\\\{HOST}{PATH}",
    f" https://{HOST}{PATH}",
    f"https://{HOST}{PATH} ",
    f"https://{HOST}{PATH}\r\nHost: evil.example",
    f"https://{HOST}{PATH}\nX: y",
    f"https://{HOST}\t{PATH}",
    f"https://{HOST}\0.evil.example{PATH}",
    f"https://{HOST}%00.evil.example{PATH}",
    f"https://{HOST}%0d%0a{PATH}",
    f"https://{HOST}%2f{PATH}",
    f"https://{HOST}%23.evil.example{PATH}",
    f"https://{HOST}..{PATH}",
    f"https://.{HOST}{PATH}",
    f"https://api。hris。example。com{PATH}",
    f"https://ａｐｉ.hris.example.com{PATH}",
    f"https://аpi.hris.example.com{PATH}",
    f"https://api.hris.example.com\u200b{PATH}",
    f"https://api.hrıs.example.com{PATH}",
    f"https://xn--pi-hmc.hris.example.com{PATH}",
    f"https://127.0.0.1{PATH}",
    f"https://127.1{PATH}",
    f"https://2130706433{PATH}",
    f"https://0x7f000001{PATH}",
    f"https://0x7f.0.0.1{PATH}",
    f"https://0177.0.0.1{PATH}",
    f"https://0{PATH}",
    f"https://0.0.0.0{PATH}",
    "https://169.254.169.254/latest/meta-data",
    f"https://169.254.169.254.nip.io{PATH}",
    f"https://[::1]{PATH}",
    f"https://[::]{PATH}",
    f"https://[::ffff:127.0.0.1]{PATH}",
    f"https://[::ffff:7f00:1]{PATH}",
    f"https://[64:ff9b::7f00:1]{PATH}",
    f"https://[fe80::1%25eth0]{PATH}",
    f"https://[fd00::1]{PATH}",
    f"https://[::127.0.0.1]{PATH}",
    f"https://[2002:7f00:1::]{PATH}",
    f"https://[::1{PATH}",
    f"https://localhost{PATH}",
    f"https://localhost.{PATH}",
    f"https://metadata.google.internal{PATH}",
    f"https://hris{PATH}",
    f"https://{HOST}{PATH}/../../v1/salaries",
    f"https://{HOST}{PATH}/%2e%2e/%2e%2e/v1/salaries",
    f"https://{HOST}{PATH}/..%2f..%2fv1/salaries",
    f"https://{HOST}{PATH}/..\\..\\v1",
    f"https://{HOST}{PATH}/%252e%252e/v1",
    f"https://{HOST}/{PATH}",
    f"https://{HOST}/v1/salaries;{PATH}",
    f"https://{HOST}/v1/salaries?{PATH}",
    f"https://{HOST}/v1/salaries#{PATH}",
    f"https://{HOST}{PATH}-archive",
    f"https://{HOST}{PATH}/%EF%BC%8E%EF%BC%8E",
    f"https://{HOST}{PATH}/a%EF%BC%8Fsalaries",
    f"https://{HOST}{PATH}/%E2%80%A6",
    f"https://{HOST}{PATH}/a%EF%BC%9Fb",
    f"https://{HOST}{PATH}/%EF%B8%99",
    f"https://{HOST}{PATH}/%c0%ae%c0%ae/v1",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "file:///etc/passwd",
    "ftp://api.hris.example.com/scim/v2/Users",
    "dict://127.0.0.1:11211/stats",
    "jar:https://api.hris.example.com!/scim/v2/Users",
    "data:application/json,{}",
    "javascript:alert(1)",
    "unix:/var/run/docker.sock",
    "",
]


def test_none_of_the_tricks_reaches_the_vendor_or_anybody_else(world, monkeypatch):
    assert len(set(TRICKS)) >= 60
    looked_up: list[str] = []

    async def resolve(host: str) -> list[str]:
        looked_up.append(host)
        return ["93.184.216.34"]

    world.broker._parts.sender._addresses = Addresses({HOST: Pin(**world.double.pin)}, resolve)
    for number, trick in enumerate(TRICKS):
        called = world.call(url=trick)
        assert called.refusal is not None, trick
        assert called.refusal.error is None, (number, trick)
        assert {v.rule for v in called.refusal.violations} & {"EGR-001", "EGR-002", "CONN-007"}, trick
    # Not even a name was looked up: that alone would carry data out.
    assert (world.double.asked, looked_up) == ([], [])


@pytest.mark.parametrize("url", [7, None, ["https://x"], {"a": 1}])
def test_an_address_that_is_no_text_is_refused(world, url):
    asked = {**CALL, "url": url}
    called = world.runner.run(world.broker.call(world_caller(), "hris", asked, entry_point="test", trace_id="ab" * 16))
    assert "EGR-001" in {v.rule for v in called.refusal.violations}
    assert world.double.asked == []


def world_caller():
    from tests.unit.broker.conftest import LUNCH

    return LUNCH


PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "nonsense",
    "::127.0.0.1", "::ffff:0:127.0.0.1", "fec0::1", "100::1", "5f00::1", "64:ff9b:1::7f00:1", "2001:0:7f00:1::", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inside_is_refused_even_beside_a_public_address(address):
    async def resolve(_host: str) -> list[str]:
        return ["93.184.216.34", address]

    with pytest.raises(NotReachable, match="not of the public internet"):
        asyncio.run(Addresses(resolve=resolve).place("api.example.com"))


def test_a_name_without_an_address_is_refused():
    async def resolve(_host: str) -> list[str]:
        return []

    with pytest.raises(NotReachable):
        asyncio.run(Addresses(resolve=resolve).place("api.example.com"))


def test_what_was_looked_at_is_what_is_connected_to():
    """Rebinding: the second lookup would lead inside; there is none."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def resolve(_host: str) -> list[str]:
        return answers.pop(0)

    async def look() -> tuple[str, ...]:
        return (await Addresses(resolve=resolve).place("api.example.com")).addresses

    assert asyncio.run(look()) == ("93.184.216.34",)
    assert len(answers) == 1


class Vendor:
    """A double under one name, and a sender that finds it."""

    def __init__(self, folder, answer, *, name: str = HOST, asked_as: str = HOST, clock=None, deadline_s: float = 60.0):
        self.double = Double(name, folder, answer).start()
        addresses = Addresses({asked_as: Pin(**self.double.pin)})
        clocked = {} if clock is None else {"monotonic": clock}
        self.sender = Sender(addresses, Bounds(deadline_s, 1000, 1000), **clocked)
        self.sent = Sent("GET", asked_as, "/", {})

    def ask(self, *sents: Sent, deadline_s: float | None = None):
        async def all_of_them():
            try:
                return [await self.sender.send(sent, deadline_s) for sent in sents or (self.sent,)]
            finally:
                await self.sender.close()

        return asyncio.run(all_of_them())


@pytest.fixture
def vendor(tmp_path):
    made: list[Vendor] = []

    def make(answer=lambda asked: Reply(b"{}"), **options) -> Vendor:
        made.append(Vendor(tmp_path, answer, **options))
        return made[-1]

    yield make
    for one in made:
        one.double.stop()


def test_a_certificate_for_another_name_is_refused(vendor):
    one = vendor(name="other.example.com")
    with pytest.raises(SendFailed, match="certificate is not one for this host"):
        one.ask()
    assert one.double.asked == []


def test_a_certificate_that_no_authority_vouches_for_is_refused(tmp_path, vendor):
    one = vendor()
    pin = Pin(**{**one.double.pin, "ca_file": ""})
    one.sender = Sender(Addresses({HOST: pin}), Bounds())
    with pytest.raises(SendFailed, match="certificate"):
        one.ask()


def test_no_cookie_is_kept_and_no_proxy_is_asked(vendor, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    one = vendor(lambda asked: Reply(b"{}", headers={"set-cookie": "session=1"}))
    one.ask(one.sent, one.sent)
    assert all("cookie" not in asked.headers for asked in one.double.asked)


def test_only_what_may_be_repeated_is_sent_again(vendor):
    one = vendor(lambda asked: Reply(b"{}", status=503))
    assert one.ask()[0].status == 503
    assert len(one.double.asked) == 3
    other = vendor(lambda asked: Reply(b"{}", status=503))
    assert other.ask(Sent("POST", HOST, "/", {}, b"{}"))[0].status == 503
    assert len(other.double.asked) == 1


def test_a_host_that_keeps_failing_is_left_alone_and_tried_again(vendor):
    now = [0.0]
    one = vendor(lambda asked: Reply(b"{}", status=503), clock=lambda: now[0])
    post = Sent("POST", HOST, "/", {}, b"{}")
    with pytest.raises(Rested, match="5 times in a row"):
        one.ask(*[post] * 6)
    assert len(one.double.asked) == 5
    now[0] = 31.0
    one.double._answer = lambda asked: Reply(b"{}")
    assert [answer.status for answer in one.ask(post, post)] == [200, 200]


def test_a_caller_in_a_hurry_does_not_close_a_host_for_the_others(vendor):
    import time

    def slow(asked):
        time.sleep(0.3)
        return Reply(b"{}")

    one = vendor(slow, deadline_s=30.0)
    for _ in range(6):
        with pytest.raises(TooSlow):
            one.ask(deadline_s=0.05)
    assert one.ask()[0].status == 200


def test_a_body_that_drips_ends_with_the_deadline(vendor):
    """Each read is quick enough; the whole is not."""
    one = vendor(lambda asked: Reply(b"x" * 10, headers={"content-length": "20"}), deadline_s=0.5)
    with pytest.raises(TooSlow):
        one.ask()


def test_too_large_a_body_is_not_sent(vendor):
    one = vendor()
    with pytest.raises(SendFailed, match="1001 bytes"):
        one.ask(Sent("POST", HOST, "/", {}, b"x" * 1001))
    assert one.double.asked == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"h": {}}', '{"h": {"address": "host.example"}}', '{"h": {"address": "10.0.0.1", "port": 0}}',
     '{"h": {"address": "10.0.0.1", "prot": 1}}'],
)  # fmt: skip
def test_a_file_of_pins_with_a_mistake_is_refused(tmp_path, text):
    path = tmp_path / "pins.json"
    path.write_text(text)
    with pytest.raises(GovernanceError, match="file of pins"):
        read_pins(str(path))


def test_an_operator_s_pin_is_taken_and_nothing_else(tmp_path):
    path = tmp_path / "pins.json"
    path.write_text('{"hr.example.com": {"address": "10.0.0.7", "ca_file": "ca.pem"}}')
    assert read_pins(str(path)) == {"hr.example.com": Pin("10.0.0.7", 443, "ca.pem")}
    assert read_pins("") == {}
