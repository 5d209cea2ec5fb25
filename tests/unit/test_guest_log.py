"""What apps log is shown without personal data and secrets, however it was written, and never half of one."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.enrich.pii.policy import ScanPolicy, scan_policy
from governance.platform.broker.guest_logs import log_mask
from runtime_adapters.guest_log import LONGEST_LOG, GuestLog, withheld
from runtime_adapters.pipe import Talk

MAIL, CARD, TOKEN = "alice@example.com", "4111 1111 1111 1111", "ghp_" + "a1B2" * 9
KEY_BODY = "MIIEabcd" * 8
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + f"{KEY_BODY}\n" * 12 + "-----END RSA PRIVATE KEY-----"
MASK = log_mask(ScanPolicy)


def shown(*writes: bytes) -> str:
    log = GuestLog(MASK)
    for write in writes:
        log.write(write)
    return log.taken()


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (f"mail to {MAIL} failed", "mail to [EMAIL_ADDRESS] failed"),
        (f"token {TOKEN}.", "token [GITHUB_TOKEN]."),
        ("password=hunter2!x", "password=[NAMED_SECRET]"),
        (f'{{"level": "info", "to": "{MAIL}"}}', '{"level": "info", "to": "[EMAIL_ADDRESS]"}'),
        ('{"to": "al\\u0069ce@example.com", "n": 1}\nnext', "[EMAIL_ADDRESS]\nnext"),
        (f'{{"a": "{MAIL}", "b": "al\\u0069ce@example.com"}}', "[EMAIL_ADDRESS]"),
        ('{"a": 4111111111111111, "b": 4.111111111111111e15}', "[CREDIT_CARD]"),
        (f"before\n{KEY}\nafter", "before\n[PRIVATE_KEY]\nafter"),
        (f"before\n{KEY[:300]}", "before\n[PRIVATE_KEY]"),
        ("lunch started in 12 ms at 2026-11-25T10:00:00Z\n", "lunch started in 12 ms at 2026-11-25T10:00:00Z\n"),
        ("", ""),
    ],
)
def test_what_the_scanner_finds_is_replaced_by_what_it_is(written, seen):
    assert shown(written.encode()) == seen


@pytest.mark.parametrize("value", [MAIL, CARD, TOKEN, f"aws AKIA{'ABCD' * 4}", "password=hunter2!x"])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_value_that_comes_in_pieces_is_one_value(value, size):
    raw = f"said {value} and went on".encode()
    assert shown(*(raw[at : at + size] for at in range(0, len(raw), size))) == shown(raw)
    assert value.split()[-1] not in shown(raw)


@pytest.mark.parametrize(
    ("value", "word"), [(MAIL, "EMAIL_ADDRESS"), (CARD, "CREDIT_CARD"), (TOKEN, "GITHUB_TOKEN"), (KEY, "PRIVATE_KEY")]
)
def test_a_value_across_the_cap_is_not_shown_by_half(value, word):
    for inside in (1, 5, len(value) // 2, len(value) - 1):
        before = "x" * (LONGEST_LOG - inside - 1) + " "
        assert shown(f"{before}{value} and more {'z' * 90_000}".encode()) == f"{before}[{word}]"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\xfe\xff" + TOKEN.encode() + b"\xff\xfe\x00",
        TOKEN.encode("utf-16-le"),
        b"".join(bytes([byte, 0xFF]) for byte in TOKEN.encode()),
        f"\x1b[31m{TOKEN[:9]}\x1b[0m{TOKEN[9:]}".encode(),
        f"\x1b]0;{'t' * 5}\x07{TOKEN}".encode(),
        TOKEN.replace("_", "_\u200b").encode(),
    ],
    ids=["among bytes", "UTF-16", "bytes between", "colours", "a title", "no width"],
)
def test_a_value_in_binary_output_is_found(raw):
    assert shown(b"start\n", raw, b"\nend").count("[GITHUB_TOKEN]") == 1
    assert TOKEN[8:] not in "".join(char for char in shown(raw) if char.isascii() and char.isprintable())


def test_what_a_terminal_would_obey_is_not_passed_on():
    assert shown(b"a\x1b[2Jb\x07\x9b\x00c\x1b[") == "ab\ufffd\ufffd\ufffdc"


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_how_it_is_written_changes_nothing_and_nothing_breaks_it(writes):
    assert shown(*writes) == shown(b"".join(writes))


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_a_token_is_never_shown_whatever_stands_around_it(before, after):
    raw = before + b"\n" + TOKEN.encode() + b"\n" + after
    assert TOKEN not in shown(raw)


def test_a_mask_that_fails_takes_the_text_and_leaves_that_there_was_one():
    log = GuestLog(withheld)
    log.write(b"secret")
    assert log.taken() == "[6 bytes withheld: LookupError]"
    assert shown(b"1 2-" * 6000) == "[24000 bytes withheld: WorkExceeded]"


def test_the_policy_in_force_says_what_is_looked_for():
    """Without the country nobody looks for its numbers; a wrong policy shows nothing."""
    known, number = [scan_policy({"countries": ["US"]})], "Steuer-ID 65 929 970 489\n"
    log = GuestLog(log_mask(lambda: known[0]))
    log.write(number.encode())
    assert log.taken() == number
    known[0] = scan_policy({"countries": ["DE"]})
    log.write(number.encode())
    assert "65 929 970 489" not in log.taken()
    known.clear()
    log.write(number.encode())
    assert log.taken() == f"[{len(number)} bytes withheld: IndexError]"


def test_a_line_without_an_end_waits_for_it():
    log = GuestLog(MASK)
    log.write(f"first\nmail {MAIL[:9]}".encode())
    assert log.taken(is_over=False) == "first\n"
    log.write(f"{MAIL[9:]} sent\n".encode())
    assert log.taken(is_over=False) == "mail [EMAIL_ADDRESS] sent\n"
    assert log.taken(is_over=False) == ""
    log.write(b"the last")
    assert log.taken() == "the last"


def test_a_key_that_began_in_an_earlier_part_goes_on_in_the_next():
    log, lines = GuestLog(MASK), KEY.splitlines(keepends=True)
    log.write("".join(lines[:4]).encode())
    assert log.taken(is_over=False) == "[PRIVATE_KEY]"
    log.write("".join([*lines[4:], "\nafter\n"]).encode())
    assert log.taken(is_over=False) == "[PRIVATE_KEY]\nafter\n"


def test_a_line_that_never_ends_is_shown_once_it_is_full():
    log = GuestLog(MASK)
    for _ in range(40):
        log.write(b"y" * 1000)
    assert log.taken(is_over=False) == "y" * LONGEST_LOG
    assert log.taken() == ""


def test_a_process_logs_as_a_module_does():
    """`log` of the line protocol reaches the log and no broker."""
    (host_reads, guest_writes), (guest_reads, host_writes) = os.pipe(), os.pipe()
    log, asked = GuestLog(MASK), []
    talk = Talk(host_writes, host_reads, lambda raw, _left: asked.append(raw) or b"{}", lambda: "", log)

    def guest():
        with os.fdopen(guest_reads) as told, os.fdopen(guest_writes, "w") as says:
            told.readline()
            for half in (f"mail {MAIL[:9]}", f"{MAIL[9:]} sent"):
                says.write(json.dumps({"call": {"op": "log", "text": f"{half}\n{MAIL}"}}) + "\n")
                says.flush()
                assert json.loads(told.readline()) == {"result": {"ok": None}}
            says.write('{"answer": ""}\n')

    thread = threading.Thread(target=guest)
    thread.start()
    talked = talk.call(b"", 20)
    thread.join()
    os.close(host_writes)
    os.close(host_reads)
    assert (talked.status, talked.egress_calls, asked) == ("done", 0, [])
    assert MAIL not in (seen := log.taken())
    assert seen.count("[EMAIL_ADDRESS]") == 2
