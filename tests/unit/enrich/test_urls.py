"""Addresses: what some parser somewhere reads as another host is invalid, and a number is never a name."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.enrich.urls import parsed_url

PLAIN = {
    "https://api.example.com": ("api.example.com", 443, "/"),
    "https://api.example.com/": ("api.example.com", 443, "/"),
    "HTTPS://API.Example.COM/v1?x=1#y": ("api.example.com", 443, "/v1"),
    "http://api.example.com:8080/a%20b": ("api.example.com", 8080, "/a b"),
    "https://api.example.com./v1": ("api.example.com", 443, "/v1"),
    "https://xn--bcher-kva.example/": ("xn--bcher-kva.example", 443, "/"),
    "https://a-b.c0.example:65535/": ("a-b.c0.example", 65535, "/"),
}


@pytest.mark.parametrize("url", sorted(PLAIN))
def test_what_every_parser_reads_alike(url):
    fact = parsed_url(url)
    assert fact["valid"] is True
    assert (fact["host"], fact["port"], fact["path"]) == PLAIN[url]
    assert not fact["is_ip"]
    assert not fact["is_private"]


TRICKS = [
    # another host behind a character that some parsers end the host at
    "https://evil.example\\@api.example.com/", "https://api.example.com\\.evil.example/", "https://api.example.com\\evil",
    "https:\\\\api.example.com/", "https:/\\api.example.com/", "https:///api.example.com/", "https:api.example.com/",
    "https:/api.example.com/", "//api.example.com/", "https//api.example.com", "https://", "https:// api.example.com/",
    "https://api.example.com:443@evil.example@api.example.com/", "https://api.example.com#@evil.example@x/",
    "https://[api.example.com]/", "https://api.example.com[evil.example]/", "https://[::1", "https://::1]/", "https://[::1]x/",
    "https://api.example.com:/x:y@z", "https://api.example.com:99999/", "https://api.example.com:0/", "https://a:b:c/",
    "https://api.example.com:4 43/", "https://api.example.com:-1/", "https://api.example.com:0x1bb/",
    # characters that some strip and some keep
    "https://api.exam\tple.com/", "https://api.exam\nple.com/", "\thttps://api.example.com/", "https://api.example.com/ ",
    "https://api.example.com/\x00", "https://api.example.com\x7f/", "https://api.example.com%2eevil.example/",
    "https://api%2eexample.com/", "https://api.example.com%00.evil.example/", "https://api.example.com%23.evil.example/",
    # letters that look alike or are mapped to others
    "https://аpi.example.com/", "https://api。example。com/", "https://api．example.com/", "https://ａpi.example.com/",
    "https://faß.example/", "https://api.example.com\u2044evil/", "https://api.example\u200b.com/", "https://①.example/",
    # labels that are none
    "https://-api.example.com/", "https://api-.example.com/", "https://api..example.com/", "https://.example.com/",
    "https://api_x.example.com/", "https://*.example.com/", "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 127 + "example/", "https://$(host).example/", "https://api.example.com,evil.example/",
    # paths that mean two things
    "https://api.example.com/a/../b", "https://api.example.com/a/%2e%2e/b", "https://api.example.com/a%2f..%2fb",
    "https://api.example.com/a%252e%252e/b", "https://api.example.com/./a", "https://api.example.com/a\\..\\b",
    "https://api.example.com/%5c..%5cb", "https://api.example.com/%ff", "https://api.example.com/%0d%0aHost:%20evil",
    # other schemes
    "ftp://api.example.com/", "file:///etc/passwd", "javascript://api.example.com/%0aalert(1)", "data:text/html,x",
    "gopher://api.example.com/", "httpss://api.example.com/", "ht\ttps://api.example.com/", "unix:///run/docker.sock",
    "jar:https://api.example.com!/", "", "api.example.com", "https", "://", 7, None, ["https://api.example.com/"], {},
]  # fmt: skip


@pytest.mark.parametrize("url", TRICKS, ids=repr)
def test_what_two_parsers_could_read_differently_is_invalid(url):
    assert parsed_url(url) == {"valid": False}


def test_there_are_as_many_tricks_as_an_attacker_would_try():
    assert len(TRICKS) >= 60


@pytest.mark.parametrize(
    "url", ["https://user@api.example.com/", "https://user:pw@api.example.com/", "https://@api.example.com/"]
)
def test_userinfo_is_a_fact_for_a_rule_to_refuse(url):
    fact = parsed_url(url)
    assert (fact["valid"], fact["has_userinfo"], fact["host"]) == (True, True, "api.example.com")


PRIVATE = [
    "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "10.0.0.8", "172.16.0.1",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "1.2.3",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]",
    "[64:ff9b:1::1]", "[2001:db8::1]", "[ff02::1]", "999.999.999.999",
    "[64:ff9b::a00:1]", "[2002:a00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_an_address_in_any_spelling_is_an_address_and_not_public(host):
    fact = parsed_url(f"https://{host}/")
    assert fact["valid"] is False or (fact["is_ip"] and fact["is_private"]), fact


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "a.localhost", "db", "db.local", "x.internal", "nas.home.arpa"]
)
def test_names_of_the_own_network_are_private(host):
    fact = parsed_url(f"https://{host}/")
    assert (fact["is_ip"], fact["is_private"]) == (False, True)


def test_a_public_address_is_still_an_address():
    assert parsed_url("https://8.8.8.8/")["is_ip"]
    assert not parsed_url("https://8.8.8.8/")["is_private"]
    assert not parsed_url("https://[2606:4700::1111]/")["is_private"]


@given(st.text(max_size=60))
def test_no_text_breaks_it(text):
    for url in (text, f"https://{text}", f"https://api.example.com/{text}", f"https://{text}.example.com/"):
        assert isinstance(parsed_url(url)["valid"], bool)


@given(st.from_regex(r"\Ahttps?://[a-z0-9.@:\[\]/?#\\%-]{1,30}\Z"))
def test_a_valid_host_is_the_one_that_the_standard_library_sees(url):
    fact = parsed_url(url)
    if fact["valid"]:
        assert (urlsplit(url).hostname or "").removesuffix(".") == fact["host"].strip("[]")


@given(st.ip_addresses(v=4))
def test_private_is_what_the_registry_of_addresses_says(address):
    assert parsed_url(f"https://{address}/")["is_private"] == (not address.is_global or address.is_multicast)
