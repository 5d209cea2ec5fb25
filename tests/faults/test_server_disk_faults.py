"""A PostgreSQL server whose disk is full, or fails at fsync, and a replica whose own disk is full: each is a no."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

import pytest

from audit.errors import NotDurable
from audit.record import Entry
from audit.shared import SharedLog
from tests.postgres import Server, needs_postgres

ORIGIN = "log.example/disk"

pytestmark = [needs_postgres, pytest.mark.timeout(280)]

# Where a file of the fault's name lies in $FAULTS, an fsync fails, or a table's file cannot grow.
SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static int has(const char *fault) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("FAULTS"), fault);
    return access(path, F_OK) == 0;
}
static int is_full(int fd, off_t end) {
    char link[64], path[4096];
    struct stat now;
    if (!has("full")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/base/") != NULL && fstat(fd, &now) == 0 && end > now.st_size;
}
int fsync(int fd) { if (has("fsync")) { errno = EIO; return -1; } return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { if (has("fsync")) { errno = EIO; return -1; } return syscall(SYS_fdatasync, fd); }
ssize_t pwrite(int fd, const void *raw, size_t size, off_t at) {
    if (is_full(fd, at + size)) { errno = ENOSPC; return -1; }
    return syscall(SYS_pwrite64, fd, raw, size, at);
}
ssize_t pwrite64(int fd, const void *raw, size_t size, off_t at) { return pwrite(fd, raw, size, at); }
ssize_t pwritev(int fd, const struct iovec *raw, int count, off_t at) {
    if (is_full(fd, at + 1)) { errno = ENOSPC; return -1; }
    return syscall(SYS_pwritev, fd, raw, count, at, 0);
}
ssize_t pwritev64(int fd, const struct iovec *raw, int count, off_t at) { return pwritev(fd, raw, count, at); }
int posix_fallocate(int fd, off_t at, off_t size) {
    if (is_full(fd, at + size)) return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, at, size) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }
"""


def entry(number: int, size: int = 10) -> Entry:
    public = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}
    return Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": "x" * size}, "s")


def log_of(home: Path, database) -> SharedLog:
    return SharedLog(home, origin=ORIGIN, database=database, complain=lambda _: None)


def wait_until_taken(server: Server, log: SharedLog, numbers) -> tuple[int, int]:
    """(place, number) of the first record that is taken again."""
    deadline = time.monotonic() + 120
    for number in numbers:
        assert time.monotonic() < deadline, "nothing is taken again"
        if not server.is_running:
            server.start()
        try:
            return log.append(entry(number), 10).index, number
        except NotDurable:
            time.sleep(0.2)
    raise AssertionError


def check(log: SharedLog, kept: list[tuple[int, int]]) -> None:
    names = [log.reader.record(index)["public"]["decision_id"] for index in range(log.reader.size())]
    assert len(set(names)) == len(names)
    assert [names[index] for index, _ in kept] == [f"d{number}" for _, number in kept]
    assert log.reader.verify_self() == len(names)


@pytest.mark.parametrize("fault", ["full", "fsync"])
def test_a_server_whose_disk_does_not_take_it_is_a_no_and_afterwards_it_goes_on(tmp_path, fault):
    server = Server(SHIM)
    try:
        with log_of(tmp_path, server.database()) as log:
            kept = [(log.append(entry(number), 60).index, number) for number in range(5)]
            (server.folder / fault).touch()
            with pytest.raises(NotDurable, match="No space left" if fault == "full" else "PostgreSQL"):
                for number in range(5, 400):
                    kept.append((log.append(entry(number, 60_000), 20).index, number))
            assert len(kept) < (300 if fault == "full" else 6)
            (server.folder / fault).unlink()
            kept.append(wait_until_taken(server, log, range(1000, 2000)))
            check(log, kept)
    finally:
        if not server.is_running:
            server.start()
        server.remove()


def test_a_replica_that_cannot_write_its_own_head_file_tells_nobody_yes(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database) as log:
        kept = [(log.append(entry(0)).index, 0)]
        before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            with pytest.raises(NotDurable):
                for number in (1, 2):  # the file has two places, and a small one may still be overwritten
                    log.append(entry(number), 20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        kept.append(wait_until_taken(postgres, log, range(10, 100)))
        check(log, kept)
    with log_of(tmp_path, database) as log:
        check(log, kept)
