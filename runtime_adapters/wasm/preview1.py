"""WASI preview 1 for a guest that has nothing: three standard streams, a clock, random bytes, and a no to everything else.

The engine's own preview 1 is not linked. It can wait inside the host, where no deadline reaches; it brings files and sockets
that would have to be shut again; and it wakes threads of its own at every read and write, ten changes of context in a cold
call, which was most of that call's system time. Format: wasi_snapshot_preview1 (WebAssembly/WASI, `docs/witx`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from runtime_adapters.wasm.doors import PIECE_FUEL, Stopped, numbers_at, part

if TYPE_CHECKING:
    from runtime_adapters.wasm.doors import Doors, Function, Guest

WASI = "wasi_snapshot_preview1"
# Parameters of every function, as `Doors.add` reads them. Sockets are not among them.
_PARAMETERS = dict(
    line.split(" ")
    for line in """args_get ii,args_sizes_get ii,environ_get ii,environ_sizes_get ii,clock_res_get ii,clock_time_get iIi,
    fd_advise iIIi,fd_allocate iII,fd_close i,fd_datasync i,fd_fdstat_get ii,fd_fdstat_set_flags ii,
    fd_fdstat_set_rights iII,fd_filestat_get ii,fd_filestat_set_size iI,fd_filestat_set_times iIIi,fd_pread iiiIi,
    fd_prestat_get ii,fd_prestat_dir_name iii,fd_pwrite iiiIi,fd_read iiii,fd_readdir iiiIi,fd_renumber ii,fd_seek iIii,
    fd_sync i,fd_tell ii,fd_write iiii,path_create_directory iii,path_filestat_get iiiii,path_filestat_set_times iiiiIIi,
    path_link iiiiiii,path_open iiiiiIIii,path_readlink iiiiii,path_remove_directory iii,path_rename iiiiii,
    path_symlink iiiii,path_unlink_file iii,poll_oneoff iiii,proc_exit i,random_get ii,sched_yield """.replace(
        "\n    ", ""
    ).split(",")
)
NAMES = frozenset(_PARAMETERS)
_OK, _BADF, _INVAL, _NOSYS, _SPIPE = 0, 8, 28, 52, 70
_IN, _OUT, _LOG = 0, 1, 2
_STREAMS = (_IN, _OUT, _LOG)
_WALL, _MONOTONIC = 0, 1
_READ, _WRITE = 1 << 1, 1 << 6
# Pieces in one read or write; more are a mistake or an attack on the time that we spend here.
_MOST_PIECES = 1024


def add_preview1(doors: Doors) -> None:
    """Define every function of `NAMES`."""
    for name, parameters in _PARAMETERS.items():
        doors.add(WASI, name, parameters, _HERE.get(name, _no_such), has_result=name != "proc_exit")


def _no_such(_guest: Guest, *_numbers: int) -> int:
    """Whatever needs a file: there is none."""
    return _BADF


def _nothing_of_them(guest: Guest, count: int, size: int) -> int:
    part(guest.memory, count, 4)[:] = bytes(4)
    part(guest.memory, size, 4)[:] = bytes(4)
    return _OK


def _read(guest: Guest, stream: int, pieces: int, count: int, told: int) -> int:
    if stream != _IN:
        return _BADF
    if count > _MOST_PIECES:
        return _INVAL
    read = 0
    guest.run.owed += PIECE_FUEL * count
    words = numbers_at(guest.memory, pieces, 2 * count)
    for address, length in zip(words[::2], words[1::2], strict=True):
        piece = part(guest.memory, address, length)
        data = guest.run.take_input(length)
        piece[: len(data)] = data
        read += len(data)
    struct.pack_into("<I", part(guest.memory, told, 4), 0, read)
    return _OK


def _write(guest: Guest, stream: int, pieces: int, count: int, told: int) -> int:
    if stream not in {_OUT, _LOG}:
        return _BADF
    if count > _MOST_PIECES:
        return _INVAL
    keep = guest.run.write_output if stream == _OUT else guest.run.write_log
    written = 0
    guest.run.owed += PIECE_FUEL * count
    words = numbers_at(guest.memory, pieces, 2 * count)
    for address, length in zip(words[::2], words[1::2], strict=True):
        keep(part(guest.memory, address, length))
        written += length
    struct.pack_into("<I", part(guest.memory, told, 4), 0, written & 0xFFFFFFFF)
    return _OK


def _stream_stat(guest: Guest, stream: int, at: int) -> int:
    """A stream of no kind in particular: `fdstat` is type, flags, rights, rights that others inherit."""
    if stream not in _STREAMS:
        return _BADF
    struct.pack_into("<BxHxxxxQQ", part(guest.memory, at, 24), 0, 0, 0, _READ if stream == _IN else _WRITE, 0)
    return _OK


def _file_stat(guest: Guest, stream: int, at: int) -> int:
    if stream not in _STREAMS:
        return _BADF
    part(guest.memory, at, 64)[:] = bytes(64)
    return _OK


def _not_a_place(_guest: Guest, stream: int, *_numbers: int) -> int:
    return _SPIPE if stream in _STREAMS else _BADF


def _stream_only(_guest: Guest, stream: int, *_numbers: int) -> int:
    """Closing a standard stream, or setting its flags, changes nothing."""
    return _OK if stream in _STREAMS else _BADF


def _time(guest: Guest, clock: int, _precision: int, at: int) -> int:
    if clock not in {_WALL, _MONOTONIC}:
        return _INVAL
    now = guest.run.senses.wall_ns() if clock == _WALL else guest.run.senses.monotonic_ns()
    struct.pack_into("<Q", part(guest.memory, at, 8), 0, now)
    return _OK


def _resolution(guest: Guest, clock: int, at: int) -> int:
    if clock not in {_WALL, _MONOTONIC}:
        return _INVAL
    struct.pack_into("<Q", part(guest.memory, at, 8), 0, guest.run.senses.resolution_ns)
    return _OK


def _random(guest: Guest, at: int, length: int) -> int:
    place = part(guest.memory, at, length)
    data = guest.run.random(length)
    if len(data) < length:
        return _INVAL
    place[:] = data
    return _OK


def _exit(guest: Guest, code: int) -> int:
    guest.run.exit_code = code
    raise Stopped("the guest is done")


def _yield(_guest: Guest) -> int:
    return _OK


def _no_waiting(_guest: Guest, *_numbers: int) -> int:
    """`poll_oneoff`: the engine cannot interrupt a host that sleeps for its guest."""
    return _NOSYS


_HERE: dict[str, Function] = {
    "args_sizes_get": _nothing_of_them, "environ_sizes_get": _nothing_of_them,
    "args_get": lambda _guest, *_numbers: _OK, "environ_get": lambda _guest, *_numbers: _OK,
    "fd_read": _read, "fd_write": _write, "fd_fdstat_get": _stream_stat, "fd_filestat_get": _file_stat,
    "fd_seek": _not_a_place, "fd_tell": _not_a_place, "fd_close": _stream_only, "fd_fdstat_set_flags": _stream_only,
    "clock_time_get": _time, "clock_res_get": _resolution, "random_get": _random, "proc_exit": _exit,
    "sched_yield": _yield, "poll_oneoff": _no_waiting,
}  # fmt: skip
