"""The first program of a microVM, and what a host hands it before an app may start.

A machine that boots with `handover=1` parks: it says PARKED and knows nothing yet of any app. Then the host sends, over the
serial line, 88 bytes for `renew` and one line of words, and has laid the app's archive into a part of the guest's memory
that its kernel leaves alone. So a machine may be saved while it is parked and brought back any number of times: fresh
randomness, the time and a name reach each copy before its app does, and one that could not take them says FAILED.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import TYPE_CHECKING

from runtime_adapters.port import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable

REGION_START_MIB = 64
"""Where the part that the kernel leaves alone begins: behind the kernel, which lies from 16 to 56 MiB."""
PARKED, READY, FAILED = b"PARKED\n", b"READY\n", b"FAILED\n"
_BLOCK = 64 << 10
_SEED = 64

# The line stays open from its first use on: what a host sends while nobody has a serial port open is lost.
# /proc comes after the archive: an archive that has a folder of that name must not write into the kernel's.
INIT = f"""#!/bin/sh
mount -t devtmpfs dev /dev
exec 3<> /dev/ttyS0
stty -F /dev/ttyS0 raw -echo
if [ "$handover" ]; then
  failed() {{ echo FAILED >&3; while read -r _ <&3; do :; done; exit 1; }}
  echo PARKED >&3
  renew <&3 4> /dev/urandom || failed
  read -r name storage blocks <&3
  {{
    dd if=/dev/mem bs={_BLOCK} skip={(REGION_START_MIB << 20) // _BLOCK} count="$blocks" | cpio -i -u
  }} 2> /dev/null || failed
fi
mount -t proc proc /proc
[ -z "$name" ] || echo "$name" > /proc/sys/kernel/hostname
mount -t tmpfs -o nosuid,nodev,size=${{storage:-1m}} tmpfs /tmp
echo READY >&3
/app/run <&3 >&3 2> /dev/null
echo o > /proc/sysrq-trigger
"""
APPLETS = ("sh", "mount", "stty", "echo", "cat", "dd", "cpio")


def kernel_words(region_mib: int) -> str:
    """Words for the kernel's command line: park, and leave the region alone (`memmap`: kernel-parameters)."""
    return f"handover=1 memmap={region_mib}M${REGION_START_MIB}M"


def region_for(archive: int) -> int:
    """MiB of the region for an archive of so many bytes: few sizes, so that few snapshots serve many apps.

    >>> [region_for(length) for length in (0, 16 << 20, (16 << 20) + 1, 100 << 20)]
    [16, 16, 32, 128]
    """
    region = 16
    while region << 20 < archive:
        region *= 2
    return region


def renewal(now_ns: int) -> bytes:
    """What `renew` reads: `struct rand_pool_info` with 64 fresh bytes (random(4)), then the time as a `timespec`."""
    return struct.pack("<ii64sqq", _SEED * 8, _SEED, os.urandom(_SEED), *divmod(now_ns, 1_000_000_000))


def words(name: str, storage_mib: int, archive: int) -> bytes:
    """The line behind the renewal: the machine's own name, room in /tmp, blocks of the archive."""
    return f"{name} {storage_mib}m {-(-archive // _BLOCK)}\n".encode()


def wait_for(word: bytes, line: int, seconds: float, over: Callable[[], str]) -> float:
    """Seconds until the guest says `word` on its serial line, a file descriptor. Raises NotAvailable.

    `over` says why no machine is there any more, and is empty as long as one is.
    """
    started, heard = time.monotonic(), b""
    os.set_blocking(line, False)
    while time.monotonic() - started < seconds:
        with contextlib.suppress(BlockingIOError):
            heard = heard[-_BLOCK:] + os.read(line, 4096)
        _, found, more = heard.partition(word)
        if found and more:
            raise NotAvailable("the app wrote before it was asked anything")
        if found:
            return time.monotonic() - started
        if FAILED in heard:
            raise NotAvailable("the guest did not take what was handed to it: randomness, time or its archive")
        if READY in heard:
            raise NotAvailable("the microVM image is of an older version; governance runtime build-image makes it anew")
        if ended := over():
            raise NotAvailable(ended)
        time.sleep(0.005)
    raise NotAvailable(f"no word from the guest within {seconds:g} s")


# Busybox has no tool that makes a kernel draw new randomness at once, and no compiler is needed for a program so small.
# Standard input: a renewal; descriptor 4: /dev/urandom. Ends with 0 when the kernel took all three, else with 1.
_CODE = bytes.fromhex(
    "4883ec60"  # sub rsp, 96
    "31db"  # xor ebx, ebx
    # more: read(0, rsp + ebx, 88 - ebx), until there are 88
    "31c0 31ff 488d341c ba58000000 29da 0f05"
    "85c0 7e4a"  # test eax, eax; jle fail
    "01c3 83fb58 72e4"  # add ebx, eax; cmp ebx, 88; jb more
    # ioctl(4, RNDADDENTROPY, rsp): mixed in, and counted
    "bf04000000 be03520840 4889e2 b810000000 0f05"
    "85c0 752b"  # test eax, eax; jne fail
    # ioctl(4, RNDRESEEDCRNG): every generator draws from it before its next byte
    "bf04000000 be07520000 b810000000 0f05"
    "85c0 7516"  # test eax, eax; jne fail
    # The clock: clock_settime of CLOCK_REALTIME to rsp + 72
    "31ff 488d742448 b8e3000000 0f05"
    "85c0 7504"  # test eax, eax; jne fail
    "31ff eb05"  # xor edi, edi; jmp out
    "bf01000000"  # fail: mov edi, 1
    "b83c000000 0f05"  # out: exit(edi)
)


def renew_program() -> bytes:
    """`renew` as an ELF file: one header, one segment (System V ABI, "Object Files")."""
    base, header = 0x400000, 64 + 56
    size = header + len(_CODE)
    elf = struct.pack(
        "<4s5B7x2HI3QI6H", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, base + header, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return elf + struct.pack("<2I6Q", 1, 5, 0, base, base, size, size, 0x1000) + _CODE
