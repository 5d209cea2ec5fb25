"""Attempts to get out of a WASM sandbox, one small module each, and how to tell that one got through.

`reached` is asked about a call that came to its end. Files lie at `secret.txt` and one folder above; a control in
`test_escapes.py` gives the same modules a folder, variables and arguments, and sees them get through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.contract import guests

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = b"canary-7c2e-of-somebody-else"
_PATH = "secret.txt"


class Attempt(NamedTuple):
    """One module that tries one thing."""

    name: str
    module: Callable[[], bytes]
    reached: Callable[[bytes], bool]
    is_ordinary: bool = False
    """Whether a sandbox that grants files and variables lets it through: what the control expects."""


def _no_error(output: bytes) -> bool:
    """The call into WASI answered "success"."""
    return output[:1] == b"\0"


def _anything(output: bytes) -> bool:
    return any(output)


def _ends(_output: bytes) -> bool:
    """It was to be stopped, and came to its end."""
    return True


def _never(_output: bytes) -> bool:
    """It may end; only the canary tells."""
    return False


def system(
    name: str, call: str, parameters: str, arguments: str, *, path: str = _PATH, is_ordinary: bool = False
) -> Attempt:
    """One call of WASI; `arguments` are numbers, `L` behind one makes it an i64."""
    pushed = " ".join(
        f"(i64.const {word[:-1]})" if word.endswith("L") else f"(i32.const {word})" for word in arguments.split()
    )

    def made() -> bytes:
        body = f"(i32.store8 (i32.const 8192) (call ${call}_ {pushed})) (call $say (i32.const 8192) (i32.const 1))"
        imported = guests.wasi(call, parameters).replace(f"(func ${call} ", f"(func ${call}_ ")
        return guests.module(body, imports=imported, data=path)

    return Attempt(name, made, _no_error, is_ordinary)


def code(name: str, body: str, reached: Callable[[bytes], bool], **options: str) -> Attempt:
    """A module with `body`."""
    return Attempt(name, lambda: guests.module(body, **options), reached)


_OPEN = "i32 i32 i32 i32 i32 i64 i64 i32 i32"
FILES = [
    system("open a file of the first folder", "path_open", _OPEN, "3 0 0 10 0 2L 0L 0 5000", is_ordinary=True),
    system("open a file for writing", "path_open", _OPEN, "3 0 0 10 0 64L 0L 0 5000", is_ordinary=True),
    system("make a file", "path_open", _OPEN, "3 0 0 3 1 64L 0L 0 5000", path="new", is_ordinary=True),
    system("open the folder's parent", "path_open", _OPEN, "3 0 0 13 0 2L 0L 0 5000", path="../secret.txt"),
    system("climb through a name", "path_open", _OPEN, "3 0 0 15 0 2L 0L 0 5000", path="a/../../../etc/"),
    system("open an absolute path", "path_open", _OPEN, "3 0 0 11 0 2L 0L 0 5000", path="/etc/passwd"),
    system("open this process's environment", "path_open", _OPEN, "3 0 0 18 0 2L 0L 0 5000", path="/proc/self/environ"),
    system("open below standard input", "path_open", _OPEN, "0 0 0 10 0 2L 0L 0 5000"),
    system("open below descriptor -1", "path_open", _OPEN, "-1 0 0 10 0 2L 0L 0 5000"),
    system("make a folder", "path_create_directory", "i32 i32 i32", "3 0 6", path="folder", is_ordinary=True),
    system("remove a folder", "path_remove_directory", "i32 i32 i32", "3 0 5", path="empty", is_ordinary=True),
    system("remove a file", "path_unlink_file", "i32 i32 i32", "3 0 10", is_ordinary=True),
    system("rename a file", "path_rename", "i32 i32 i32 i32 i32 i32", "3 0 10 3 0 6", is_ordinary=True),
    system("link a file", "path_link", "i32 i32 i32 i32 i32 i32 i32", "3 0 0 10 3 0 6", is_ordinary=True),
    system("make a symbolic link", "path_symlink", "i32 i32 i32 i32 i32", "0 10 3 0 6", is_ordinary=True),
    system("read a symbolic link", "path_readlink", "i32 i32 i32 i32 i32 i32", "3 0 4 8192 99 5000", path="link",
           is_ordinary=True),
    system("look at a file", "path_filestat_get", "i32 i32 i32 i32 i32", "3 0 0 10 8192", is_ordinary=True),
    system("change a file's times", "path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", "3 0 0 10 1L 1L 5",
           is_ordinary=True),
    system("ask for the first folder", "fd_prestat_get", "i32 i32", "3 5000", is_ordinary=True),
    system("ask for its name", "fd_prestat_dir_name", "i32 i32 i32", "3 5000 1", is_ordinary=True),
    system("list the first folder", "fd_readdir", "i32 i32 i32 i64 i32", "3 6000 100 0L 5000", is_ordinary=True),
    system("list standard input", "fd_readdir", "i32 i32 i32 i64 i32", "0 6000 100 0L 5000"),
]  # fmt: skip
DESCRIPTORS = [
    system("read from standard output", "fd_read", "i32 i32 i32 i32", "1 4096 1 4104"),
    system("read from descriptor 4", "fd_read", "i32 i32 i32 i32", "4 4096 1 4104"),
    system("write to standard input", "fd_write", "i32 i32 i32 i32", "0 4096 1 4104"),
    system("write to descriptor 3", "fd_write", "i32 i32 i32 i32", "3 4096 1 4104"),
    system("write at a place of standard output", "fd_pwrite", "i32 i32 i32 i64 i32", "1 4096 1 0L 4104"),
    system("read at a place of standard input", "fd_pread", "i32 i32 i32 i64 i32", "0 4096 1 0L 4104"),
    system("move within standard input", "fd_seek", "i32 i64 i32 i32", "0 0L 0 5000"),
    system("make standard input longer", "fd_filestat_set_size", "i32 i64", "0 1000000L"),
    system("take room behind standard input", "fd_allocate", "i32 i64 i64", "0 0L 1000000L"),
    system("put standard input where a folder was", "fd_renumber", "i32 i32", "0 3"),
    system("open a copy above all others", "fd_renumber", "i32 i32", "1 1000000"),
]
NETWORK = [
    system("accept a connection", "sock_accept", "i32 i32 i32", "3 0 5000"),
    system("send to a socket", "sock_send", "i32 i32 i32 i32 i32", "3 4096 1 0 5000"),
    system("receive from a socket", "sock_recv", "i32 i32 i32 i32 i32 i32", "3 4096 1 0 5000 5004"),
    system("open a socket", "sock_open", "i32 i32 i32", "1 1 5000"),
    system("look up a name", "sock_getaddrinfo", "i32 i32 i32 i32", "0 4 5000 5004"),
]
CLOCKS = [
    system("sleep in the host", "poll_oneoff", "i32 i32 i32 i32", "0 5000 1 6000"),
    system("the host's processor time", "clock_time_get", "i32 i64 i32", "2 0L 5000"),
    system("the host thread's processor time", "clock_time_get", "i32 i64 i32", "3 0L 5000"),
    code("wait for another thread", "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))", _ends,
         imports='(import "env" "m" (memory 1 2 shared))', memory="1"),
]  # fmt: skip


def _told(call: str, before: str = "") -> str:
    return (
        f"{before} (drop (call ${call} (i32.const 9000) (i32.const 9100))) (call $say (i32.const 9000) (i32.const 600))"
    )


ENVIRONMENT = [
    Attempt("read the variables", lambda: guests.module(
        _told("environ_get"), imports=guests.wasi("environ_get", "i32 i32")), _anything, is_ordinary=True),
    Attempt("count the variables", lambda: guests.module(
        _told("environ_sizes_get"), imports=guests.wasi("environ_sizes_get", "i32 i32")), _anything, is_ordinary=True),
    Attempt("read the arguments", lambda: guests.module(
        _told("args_get"), imports=guests.wasi("args_get", "i32 i32")), _anything, is_ordinary=True),
    code("import a function of the host's", "", _ends, imports='(import "env" "system" (func $x (param i32)))'),
    code("import another door of ours", "", _ends, imports='(import "microapp_v1" "admin" (func $x))'),
    code("import preview 1 under its old name", "", _ends,
         imports='(import "wasi_unstable" "path_open" (func $x (param i32)))'),
]  # fmt: skip

# Looks at every eighth byte from the second page on, where only somebody else can have written.
_SCAN = """(local $at i32) (local $end i32) {grow}
  (local.set $end (i32.shl (memory.size) (i32.const 16))) (local.set $at (i32.const 65536))
  (loop $on
    (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (i32.store8 (i32.const 8192) (i32.const 1))))
    (br_if $on (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (local.get $end))))
  (call $say (i32.const 8192) (i32.const 1))"""
MEMORY = [
    code("find another app's memory in one's own", _SCAN.format(grow=""), _anything, memory="200"),
    code("find it in memory that grew", _SCAN.format(grow="(drop (memory.grow (i32.const 200)))"), _anything),
    code("read far behind the end", "(drop (i64.load offset=4294967295 (i32.const -1)))", _ends),
    code("read just behind the end", "(drop (i64.load (i32.const 131065)))", _ends),
    code("copy from behind the end", "(memory.copy (i32.const 0) (i32.const 131000) (i32.const 5000))", _ends),
    code("a second memory", "", _ends, extra="(memory $other 1)"),
    code("shared memory", "", _ends, extra="(memory $other 1 2 shared)"),
    code("call behind a table's end", "(call_indirect (i32.const 99))", _ends, extra="(table 2 funcref)"),
    code("call an empty place", "(call_indirect (i32.const 1))", _ends, extra="(table 2 funcref)"),
    code("call a function as if it had another type", "(call_indirect (param i64) (i64.const 1) (i32.const 0))", _ends,
         extra="(table 1 funcref) (elem (i32.const 0) $say)"),
]  # fmt: skip
EXHAUSTION = [
    code("memory at once", "", _ends, memory="300"),
    code("memory by and by", "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"
         "(if (i32.gt_u (memory.size) (i32.const 256)) (then (i32.store8 (i32.const 8192) (i32.const 1))))"
         "(call $say (i32.const 8192) (i32.const 1))", _anything),
    code("a table of millions", "", _ends, extra="(table 10000000 funcref)"),
    code("a table that grows to millions",
         "(i32.store8 (i32.const 8192) (i32.ne (table.grow 0 (ref.null func) (i32.const 1000000)) (i32.const -1)))"
         "(call $say (i32.const 8192) (i32.const 1))", _anything, extra="(table 1 funcref)"),
    code("a second table", "", _ends, extra="(table 1 funcref) (table 1 funcref)"),
    code("output without end", "(loop $on (call $say (i32.const 0) (i32.const 60000)) (br $on))", _ends),
    code("output of four gigabytes at once", """(i32.store (i32.const 4096) (i32.const 0))
         (i32.store (i32.const 4100) (i32.const -1))
         (drop (call $fd_write (i32.const 1) (i32.const 4096) (i32.const 1) (i32.const 4104))) (unreachable)""", _ends),
    code("a loop", "(loop $on (br $on))", _ends),
    code("a loop of large fills", "(loop $on (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072)) (br $on))",
         _ends),
    code("a loop in the start function", "", _ends, extra="(func $s (loop $on (br $on))) (start $s)"),
    code("a trap in the start function", "", _ends, extra="(func $s unreachable) (start $s)"),
    code("the stack", "(call $deeper)", _ends, extra="(func $deeper (call $deeper))"),
]  # fmt: skip


def asking(name: str, numbers: str) -> Attempt:
    """A call out whose places and lengths are `numbers`; it has to end the guest."""
    pushed = " ".join(f"(i32.const {number})" for number in numbers.split())
    return code(name, f"(drop (call $call {pushed}))", _ends, data='{"op":"kv.get","key":"a"}')


HOST_CALLS = [
    asking("a request from before the memory", "-1 25 0 0"),
    asking("a request of four gigabytes", "0 -1 0 0"),
    asking("a request that ends behind the memory", "131000 100 0 0"),
    asking("an answer behind the memory", "0 25 131071 2"),
    asking("room for an answer of four gigabytes", "0 25 0 -1"),
    asking("lengths that add up to nothing", "-25 25 -1 1"),
    code("a call out from the start function, outside the memory", "", _ends,
         extra="(func $s (drop (call $call (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 0)))) (start $s)"),
]  # fmt: skip

ATTEMPTS = [*FILES, *DESCRIPTORS, *NETWORK, *CLOCKS, *ENVIRONMENT, *MEMORY, *EXHAUSTION, *HOST_CALLS]
REQUESTS = {
    "another tenant's key": '{"op":"kv.get","key":"salary","tenant":"hr","app":"payroll"}',
    "a key that climbs": '{"op":"kv.get","key":"../../hr/payroll/salary"}',
    "a key with a zero in it": '{"op":"kv.get","key":"hr\\u0000payroll\\u0000salary"}',
    "a key that is SQL": '{"op":"kv.get","key":"salary\' OR tenant=\'hr\' --"}',
    "a key that is a pattern": '{"op":"kv.get","key":"%"}',
    "an instance of another name": '{"op":"kv.get","key":"salary","caller":{"tenant":"hr","app":"payroll"}}',
    "a host call nobody has": '{"op":"secrets.get","key":"salary"}',
    "two operations in one": '{"op":"log","text":"x","op":"kv.list"}',
}
