"""Whether a thread's system call filter is one: its programs are read back from the kernel and asked.

That a thread is in filter mode (`Seccomp: 2`) says nothing: Firecracker built for another C library than its release carries
filters that allow every call. Formats: seccomp(2), ptrace(2) `PTRACE_SECCOMP_GET_FILTER`, kernel documentation "Classic BPF".
"""

from __future__ import annotations

import ctypes
import operator
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.port import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NEVER = {
    "ptrace": 101, "execve": 59, "mount": 165, "init_module": 175, "open_by_handle_at": 304, "bpf": 321, "setuid": 105,
}  # fmt: skip
"""Numbers (x86-64) of what no virtual machine monitor has to ask its kernel for."""
_ARCH_X86_64 = 0xC000003E
_SEIZE, _DETACH, _INTERRUPT, _GET_FILTER = 0x4206, 17, 0x4207, 0x420C
_WAIT_ALL = 0x40000000  # __WALL: threads as well
# Kill (of process and thread), trap and errno; whatever else a filter answers lets the call happen.
_REFUSALS = frozenset({0x80000000, 0x00000000, 0x00030000, 0x00050000})
_ACTION = 0xFFFF0000
_MOST_STEPS = 4096
_JUMPS: dict[int, Callable[[int, int], bool]] = {
    0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, 0x45: lambda value, k: bool(value & k),
}  # fmt: skip


class Step(NamedTuple):
    """One instruction (`struct sock_filter`)."""

    code: int
    if_true: int
    if_false: int
    k: int


def allowed_by(filters: Sequence[Sequence[Step]], calls: dict[str, int] | None = None) -> list[str]:
    """Which of `calls` (default: `NEVER`) no filter refuses; filters add up, the strictest holds. Raises NotAvailable."""
    wanted = NEVER if calls is None else calls
    return [name for name, call in wanted.items() if all(verdict(steps, call) not in _REFUSALS for steps in filters)]


def verdict(steps: Sequence[Step], call: int) -> int:
    """What a filter answers to a system call whose arguments are 0. Raises NotAvailable for one that cannot be read."""
    data = struct.pack("<iIQ6Q", call, _ARCH_X86_64, 0, 0, 0, 0, 0, 0, 0)
    at = value = 0
    memory: dict[int, int] = {}
    for _ in range(_MOST_STEPS):
        if at >= len(steps):
            break
        step = steps[at]
        at += 1
        if step.code == 0x06:
            return step.k & _ACTION
        if step.code == 0x20 and step.k + 4 <= len(data):
            (value,) = struct.unpack_from("<I", data, step.k)
        elif step.code in _JUMPS:
            at += step.if_true if _JUMPS[step.code](value, step.k) else step.if_false
        elif step.code == 0x05:
            at += step.k
        elif step.code == 0x54:
            value &= step.k
        elif step.code == 0x02:
            memory[step.k] = value
        elif step.code == 0x60:
            value = memory.get(step.k, 0)
        else:
            break
    raise NotAvailable("its system call filter has a shape that is not understood here")


def filters_of(thread: int) -> list[list[Step]]:
    """A thread's filters; it stands still meanwhile. Needs root and no filter of our own. Raises NotAvailable."""
    libc = ctypes.CDLL(None, use_errno=True)
    ptrace = libc.ptrace
    ptrace.restype = ctypes.c_long
    ptrace.argtypes = [ctypes.c_ulong, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    try:
        if ptrace(_SEIZE, thread, None, None) < 0:
            raise _not_read()
        try:
            ptrace(_INTERRUPT, thread, None, None)
            os.waitpid(thread, _WAIT_ALL)
            return list(_programs(ptrace, thread))
        finally:
            ptrace(_DETACH, thread, None, None)
    except ChildProcessError as error:  # it ended in between
        raise NotAvailable("its system call filter cannot be read: the thread is gone") from error


def _programs(ptrace: ctypes._NamedFuncPointer, thread: int) -> Iterator[list[Step]]:
    number = 0
    while (length := ptrace(_GET_FILTER, thread, number, None)) >= 0:
        raw = ctypes.create_string_buffer(length * 8)
        if ptrace(_GET_FILTER, thread, number, raw) != length:
            raise _not_read()
        yield [Step(*fields) for fields in struct.iter_unpack("<HBBI", raw.raw)]
        number += 1
    if ctypes.get_errno() != 2:  # ENOENT: that was the last one
        raise _not_read()


def _not_read() -> NotAvailable:
    return NotAvailable(f"its system call filter cannot be read: {os.strerror(ctypes.get_errno())}")
