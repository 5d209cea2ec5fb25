"""Whether a system call filter is one: programs that the kernel really holds, and programs that nobody should trust."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_adapters.port import NotAvailable
from runtime_adapters.seccomp import NEVER, Step, allowed_by, filters_of, verdict

ALLOW, TRAP, ERRNO, LOG, TRACE = 0x7FFF0000, 0x00030000, 0x00050001, 0x7FFC0000, 0x7FF00000
LOAD_CALL, LOAD_ARCH = Step(0x20, 0, 0, 0), Step(0x20, 0, 0, 4)
KEEP, GIVE = Step(0x02, 0, 0, 3), Step(0x60, 0, 0, 3)


def answers(action: int) -> Step:
    return Step(0x06, 0, 0, action)


def refusing(*calls: int, action: int = TRAP) -> list[Step]:
    """A filter that allows everything but `calls`."""
    steps = [LOAD_CALL]
    for call in calls:
        steps += [Step(0x15, 0, 1, call), answers(action)]
    return [*steps, answers(ALLOW)]


# Installs the filters of its arguments in itself, as "code,jt,jf,k" separated by colons; then waits to be looked at.
HELD = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
for program in sys.argv[1:]:
    raw = b"".join(struct.pack("<HBBI", *map(int, step.split(","))) for step in program.split(":"))
    held = ctypes.create_string_buffer(raw, len(raw))
    about = struct.pack("<HxxxxxxQ", len(raw) // 8, ctypes.addressof(held))
    assert libc.prctl(22, 2, ctypes.c_char_p(about), 0, 0) == 0
print("held", flush=True)
sys.stdin.read()
"""


def held_by_the_kernel(*programs: list[Step]) -> list[list[Step]]:
    """What is read back from a process that runs under them."""
    written = [":".join(",".join(map(str, step)) for step in steps) for steps in programs]
    with subprocess.Popen(
        [sys.executable, "-c", HELD, *written], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        found = filters_of(process.pid)
        process.communicate()
        assert process.returncode == 0  # it went on as if nobody had looked
    return found


def can_read() -> bool:
    """Only root may, and none who is filtered: a container's own filter is enough to be refused."""
    try:
        return os.geteuid() == 0 and held_by_the_kernel([answers(ALLOW)]) == [[answers(ALLOW)]]
    except NotAvailable:
        return False


reads_filters = pytest.mark.skipif(
    not can_read(), reason="needs root, a kernel that gives filters back, no filter of one's own"
)


@reads_filters
def test_a_filter_that_allows_everything_is_seen_for_what_it_is():
    found = held_by_the_kernel([LOAD_ARCH, LOAD_CALL, answers(ALLOW)])
    assert found == [[LOAD_ARCH, LOAD_CALL, answers(ALLOW)]]
    assert allowed_by(found) == list(NEVER)


@reads_filters
def test_filters_add_up_and_all_of_them_are_read():
    halves = [refusing(*list(NEVER.values())[:3]), refusing(*list(NEVER.values())[3:], action=ERRNO)]
    found = held_by_the_kernel(*halves)
    assert sorted(found) == sorted(halves)
    assert allowed_by(found) == []
    assert allowed_by(found[:1]) != []


def test_a_thread_that_is_gone_or_has_no_filter():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(NotAvailable, match="cannot be read"):
        filters_of(process.pid)
    assert allowed_by([]) == list(NEVER)


@pytest.mark.parametrize("action", [ALLOW, LOG, TRACE, 0x7FC00000])
def test_what_lets_a_call_happen_is_no_refusal(action):
    assert allowed_by([[answers(action)]]) == list(NEVER)


@pytest.mark.parametrize("action", [TRAP, ERRNO, 0x80000000, 0])
def test_what_stops_a_call_is_a_refusal(action):
    assert allowed_by([[answers(action)]]) == []
    assert allowed_by([refusing(*NEVER.values(), action=action)]) == []
    assert allowed_by([refusing(*[n for n in NEVER.values() if n != NEVER["bpf"]], action=action)]) == ["bpf"]


@pytest.mark.parametrize(
    ("steps", "call", "action"),
    [
        ([LOAD_CALL, Step(0x35, 0, 1, 100), answers(TRAP), answers(ALLOW)], 99, ALLOW),
        ([LOAD_CALL, Step(0x35, 0, 1, 100), answers(TRAP), answers(ALLOW)], 100, TRAP),
        ([LOAD_CALL, Step(0x25, 0, 1, 100), answers(TRAP), answers(ALLOW)], 100, ALLOW),
        ([LOAD_CALL, Step(0x45, 0, 1, 4), answers(TRAP), answers(ALLOW)], 5, TRAP),
        ([LOAD_CALL, Step(0x54, 0, 0, 1), Step(0x15, 0, 1, 1), answers(TRAP), answers(ALLOW)], 5, TRAP),
        ([LOAD_CALL, Step(0x05, 0, 0, 1), answers(ALLOW), answers(TRAP)], 5, TRAP),
        ([LOAD_CALL, KEEP, LOAD_ARCH, GIVE, Step(0x15, 0, 1, 5), answers(TRAP), answers(ALLOW)], 5, TRAP),
        ([LOAD_ARCH, Step(0x15, 1, 0, 0xC000003E), answers(ALLOW), answers(TRAP)], 5, TRAP),
    ],
)  # fmt: skip
def test_instructions_mean_what_the_kernel_says(steps, call, action):
    """Kernel documentation, "Linux Socket Filtering aka Berkeley Packet Filter"; seccomp(2) for the data."""
    assert verdict(steps, call) == action


@pytest.mark.parametrize(
    "steps", [[], [LOAD_CALL], [Step(0x20, 0, 0, 64)], [Step(0x05, 0, 0, 9)], [Step(0x87, 0, 0, 0)]]
)
def test_a_filter_that_is_not_understood_is_no_filter(steps):
    with pytest.raises(NotAvailable, match="not understood"):
        verdict(steps, 1)


bytes_, words = st.integers(0, 255), st.integers(0, 2**32 - 1)


@given(
    st.lists(
        st.builds(Step, st.integers(0, 0xFFFF) | st.sampled_from([0x20, 0x15, 0x05, 0x54, 0x06]), bytes_, bytes_, words)
    ),
    words,
)
def test_no_program_hangs_or_breaks_the_reader(steps, call):
    with contextlib.suppress(NotAvailable):
        assert verdict(steps, call & 0x7FFFFFFF) & 0xFFFF == 0
