"""Modules and components that somebody wrote to harm their host, and what each has to come to.

Some are bytes that no assembler writes. `REFUSED` never starts, and the reason names why; `ENDED` starts and is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.plan import Caps
from tests.contract import component_guests, guests
from tests.contract.module_bytes import HEADER, START, TYPES, built, name, number, section, several

if TYPE_CHECKING:
    from collections.abc import Callable

CAPS = Caps(cpu=0.01, memory_mib=16, timeout_ms=2000, storage_mib=8)
"""Twenty million instructions."""


class Refused(NamedTuple):
    """One that is not started."""

    name: str
    made: Callable[[], bytes]
    why: str


class Ended(NamedTuple):
    """One that starts; `status` as `port.Outcome` has it."""

    name: str
    made: Callable[[], bytes]
    status: str
    why: str = ""
    caps: Caps = CAPS


def text(body: str) -> Callable[[], bytes]:
    """A module in text, with `_start` that does nothing unless `body` has its own."""
    start = "" if "_start" in body else '(func (export "_start"))'
    return lambda: guests.wat(f"(module {body} {start})")


def body(code: str, **parts: str) -> Callable[[], bytes]:
    """A module whose `_start` is `code`."""
    return lambda: guests.module(code, **parts)


MEMORY = '(memory (export "memory") 1)'


def feature(what: str, source: str, why: str) -> Refused:
    """Something that the engine could do and no guest of ours is given."""
    return Refused(what, text(source), why)


FEATURES = [
    feature("memory of 64 bits", '(memory (export "memory") i64 2)', "memory64"),
    feature("a table of 64 bits", f"{MEMORY} (table i64 10 funcref)", "memory64"),
    feature("memory for threads", '(memory (export "memory") 1 2 shared)', "threads"),
    feature("an atomic access", f"{MEMORY} (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))", "threads"),
    feature("a wait for another thread",
            f"{MEMORY} (func (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))", "threads"),
    feature("three memories that grow", f"{MEMORY} (memory $b 1) (memory $c 1) (func (drop (memory.grow $b (i32.const 9))))",
            "multiple memories"),
    feature("an exception", f"{MEMORY} (tag $e) (func (throw $e))", "exceptions"),
    feature("a collected object", f"{MEMORY} (type $s (struct (field i32))) (func (drop (struct.new_default $s)))", "gc"),
    feature("collected memory beside the memory",
            f"{MEMORY} (type $a (array i8)) (func (drop (array.new_default $a (i32.const 60000000))))", "gc"),
    feature("a small collected number", f"{MEMORY} (func (drop (ref.i31 (i32.const 1))))", "gc"),
    feature("a reference of the host's", f"{MEMORY} (table 10 externref)", "gc"),
    feature("a typed reference", f"""{MEMORY} (type $t (func)) (elem declare func $f)
            (func $f (type $t) (call_ref $t (ref.func $f)))""", "function references"),
    feature("a continuation", f"{MEMORY} (type $f (func)) (type $c (cont $f))", "stack switching"),
    feature("wide numbers", f"""{MEMORY} (func (drop (drop
            (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))))""", "wide arithmetic"),
    feature("pages of one byte", '(memory (export "memory") 1 (pagesize 1))', "page sizes"),
]  # fmt: skip

_YIELD = name("wasi_snapshot_preview1") + name("sched_yield") + b"\0\1"


def imports_one(what: str, kind: str) -> Refused:
    """A function of WASI's imported as if it were something else."""
    return Refused(what, text(f'(import "wasi_snapshot_preview1" "fd_write" {kind}) (memory (export "memory") 1)'),
                   "imports|link|gc|exceptions")  # fmt: skip


NAMES = [
    imports_one("a WASI function of another form", "(func (param i64))"),
    Refused("a WASI function as a memory", text('(import "wasi_snapshot_preview1" "fd_write" (memory 1))'), "imports"),
    imports_one("a WASI function as a table", "(table 1 funcref)"),
    imports_one("a WASI function as a global", "(global (mut i32))"),
    imports_one("a WASI function as a tag", "(tag)"),
    Refused("our door twice, once in another form", text(f"""
        (import "microapp_v1" "call" (func (param i32 i32 i32 i32) (result i32)))
        (import "microapp_v1" "call" (func (param i32) (result i32))) {MEMORY}"""), "link"),
    Refused("an import that is also `_start`", text(f"""
        (import "wasi_snapshot_preview1" "proc_exit" (func $f (param i32))) (export "_start" (func $f)) {MEMORY}"""),
            "takes and gives nothing"),
    Refused("a `_start` that gives vectors", text(f"""{MEMORY}
        (func (export "_start") (result v128 v128) (v128.const i64x2 1 1) (v128.const i64x2 1 1))"""),
            "takes and gives nothing"),
    Refused("a `_start` that is a memory", text('(memory (export "_start") 1)'), "takes and gives nothing"),
    Refused("two exports of one name", lambda: built(exports=[START, START]), "duplicate export"),
    Refused("more exports than anybody looks at",
            lambda: built(exports=[START, *(name(f"e{n}") + b"\0\0" for n in range(1000))]), "1001 exports; at most 1000"),
    Refused("more imports than anybody looks at", lambda: built(
            imports=section(2, several([_YIELD] * 1001)), exports=[name("_start") + b"\0" + number(1001)]),
            "1001 imports; at most 1000"),
]  # fmt: skip

SIZES = [
    Refused("four billion locals", lambda: built(body=b"\1" + number(0xFFFFFFFF) + b"\x7f\x0b"), "too many locals"),
    Refused("locals that add up to more than numbers have",
            lambda: built(body=b"\2" + 2 * (number(0xFFFFFFFF) + b"\x7f") + b"\x0b"), "too many locals"),
    Refused("a million functions and one", lambda: HEADER + TYPES + section(3, number(1_000_001) + bytes(1_000_001)),
            "functions count exceeds"),
    Refused("a jump to a million places", lambda: built(
            body=b"\0\x41\0\x0e" + number(1_000_000) + bytes(1_000_001) + b"\x0b"), "br_table"),
    Refused("a hundred thousand globals", lambda: built(
            between=section(6, several([b"\x7e\1\x42\0\x0b"] * 100_000))), "instance size|exceeds"),
    Refused("more data segments than there are", lambda: built(after=section(11, number(0xFFFFFFFF))), "data"),
    Refused("a memory of all there is", text('(memory (export "memory") 65536)'), "does not fit|does not load|exceeds"),
    Refused("functions of a thousand parameters each, a thousand times over", lambda: HEADER + section(1, several(
            [b"\x60" + number(1001) + b"\x7b" * 1001 + b"\0"] * 1000)), "params size"),
    Refused("a function of eight megabytes", lambda: built(body=b"\0" + b"\x01" * 8_000_000 + b"\x0b"), "body size"),
]  # fmt: skip

SECTIONS = [
    Refused("one section twice", lambda: HEADER + TYPES + TYPES, "out of order"),
    Refused("functions before their types", lambda: HEADER + section(3, b"\1\0") + TYPES, "type"),
    Refused("a section of four gigabytes", lambda: HEADER + b"\1" + number(0xFFFFFFFF), "end-of-file|out of bounds"),
    Refused("a section nobody knows", lambda: built(after=section(77, b"x")), "section"),
    Refused("a note whose name is no text", lambda: built(after=section(0, b"\5\xff\xfe\0\xc0\x80")), "UTF-8"),
    Refused("a note whose name is longer than it", lambda: built(after=section(0, number(0xFFFFFFF0) + b"abc")), "size"),
    Refused("a number that never ends", lambda: HEADER + b"\1" + b"\x80" * 40, "integer|invalid"),
    Refused("a module of the next version", lambda: b"\0asm\2\0\0\0", "neither"),
]  # fmt: skip


def doubling(levels: int) -> str:
    """Components that each start the last one twice."""
    first = "(component $c0 (core module $m) (core instance (instantiate $m)))"
    return first + "".join(
        f"""(component $c{n} (alias outer 1 $c{n - 1} (component $p))
          (instance (instantiate $p)) (instance (instantiate $p)))"""
        for n in range(1, levels + 1)
    ) + f"(instance (instantiate $c{levels}))"  # fmt: skip


def beside(source: str) -> Callable[[], bytes]:
    """A component that would be ordinary without `source`."""
    return lambda: component_guests.component("(i32.const 16)", lowered=source)


COMPONENTS = [
    Refused("four thousand instances out of twelve lines", beside(doubling(12)), "does not fit|does not load|exceeds"),
    Refused("a type of a billion members", beside("(type $t0 (tuple u8 u8))" + "".join(
        f"(type $t{n} (tuple $t{n - 1} $t{n - 1}))" for n in range(1, 31))), "type size"),
    Refused("a thousand components", beside("(component)" * 1001), "count exceeds"),
    Refused("more functions than anybody looks at", lambda: component_guests.component(
        "(i32.const 16)", imports='(import "wasi:filesystem/types@0.2.0" (instance {}))'.format(
            "".join(f'(export "f{n}" (func))' for n in range(1001)))), "1001 functions"),
    Refused("a memory of 64 bits in a component", beside("(core module $x (memory i64 1))"), "memory64"),
    Refused("collected memory in a component", beside("(core module $x (type (array i8)))"), "gc"),
    Refused("a stream to nobody", lambda: component_guests.component(
        "(i32.const 16)", imports='(import "log" (func (param "text" (stream u8))))'), "async|imports"),
    Refused("a component that takes its own type", beside(
        '(type (component (export "a" (type (sub resource))))) (import "x" (type (sub resource)))'), "imports"),
]  # fmt: skip

REFUSED = [*FEATURES, *NAMES, *SIZES, *SECTIONS, *COMPONENTS]


def loop(code: str) -> str:
    """Over and over."""
    return f"(loop $on {code} (br $on))"


def stopped(what: str, code: str, status: str, why: str = "", caps: Caps = CAPS, **parts: str) -> Ended:
    """A module whose `_start` is `code`."""
    return Ended(what, body(code, **parts), status, why, caps)


def wasi(*functions: str) -> str:
    """Imports of preview 1: `name parameters`."""
    return " ".join(
        guests.wasi(function.partition(" ")[0], function.partition(" ")[2]) for function in functions
    ).replace("(param )", "")  # fmt: skip


_SPUN = "processor time"
_LATE = "longer than"
_PATIENT = CAPS._replace(cpu=50, timeout_ms=300)
"""Of which only the clock makes an end."""
_SHUFFLE = "(local.set $v (i8x16.shuffle 0 31 1 30 2 29 3 28 4 27 5 26 6 25 7 24 (local.get $v) (local.get $v)))"
CODE = [
    stopped("a tail call without end", "(return_call $f)", "fuel", _SPUN, extra="(func $f (return_call $f))"),
    stopped("two functions that tail-call each other", "(return_call $f)", "timeout", _LATE, _PATIENT,
            extra="(func $f (return_call $g)) (func $g (return_call $f))"),
    stopped("a tail call through a table", "(return_call_indirect (i32.const 0))", "fuel", _SPUN,
            extra="(table 1 funcref) (elem (i32.const 0) $f) (func $f (return_call_indirect (i32.const 0)))"),
    stopped("vectors without end", f"(local $v v128) {loop(_SHUFFLE * 50)}", "fuel", _SPUN),
    Ended("calls with fifty thousand locals each", lambda: built(body=b"\1" + number(50_000) + b"\x7e\x10\0\x0b"), "trap",
          "stack"),
    stopped("a memory that is grown by nothing for ever", loop("(drop (memory.grow (i32.const 0)))"), "timeout", _LATE,
            _PATIENT),
    stopped("a memory that is grown beyond its cap for ever", loop("(drop (memory.grow (i32.const 60000)))"), "timeout",
            _LATE, _PATIENT),
    stopped("a table that is grown for ever", loop("(drop (table.grow $t (ref.null func) (i32.const 1)))"), "timeout", _LATE,
            _PATIENT, extra="(table $t 0 funcref)"),
    stopped("a table that is filled for ever", loop("(table.fill $t (i32.const 0) (ref.func $say) (i32.const 10000))"),
            "fuel", _SPUN, extra="(table $t 10000 funcref) (elem declare func $say)"),
    stopped("a memory that is copied for ever", loop("(memory.copy (i32.const 0) (i32.const 1) (i32.const 131071))"), "fuel",
            _SPUN),
    stopped("data behind the memory", "", "trap", "memory_out_of_bounds", extra='(data (i32.const 131070) "xxxx")'),
    stopped("data before the memory", "", "trap", "memory_out_of_bounds", extra='(data (i32.const -1) "x")'),
    stopped("more of some data than there is", "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 9))", "trap",
            "memory_out_of_bounds", extra='(data $d "abc")'),
    stopped("data that was dropped", "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))", "trap",
            "memory_out_of_bounds", extra='(data $d "abc")'),
    stopped("functions behind a table", "", "trap", "table_out_of_bounds", extra="(table 1 funcref) (elem (i32.const 5) $say)"),
    stopped("a jump by -1", "(block (block (br_table 0 1 1 (i32.const -1))) unreachable) unreachable", "trap", "unreachable"),
    stopped("a division that overflows", "(drop (i32.div_s (i32.const -2147483648) (i32.const -1)))", "trap", "overflow"),
]  # fmt: skip

_ASK = "(drop (call $call (i32.const 0) (i32.const 25) (i32.const 8192) (i32.const 99)))"
_KEY = '{"op":"kv.get","key":"a"}'
_RANDOM = wasi("random_get i32 i32")
_TO_BOTH = """(i32.store (i32.const 4096) (i32.const 0)) (i32.store (i32.const 4100) (i32.const 60000))
  (drop (call $fd_write (i32.const 2) (i32.const 4096) (i32.const 1) (i32.const 4104)))
  (drop (call $fd_write (i32.const 1) (i32.const 4096) (i32.const 1) (i32.const 4104)))"""
CALLS = [
    stopped("a start function that asks and traps", "", "trap", "unreachable", data=_KEY,
            extra=f"(func $s {_ASK} unreachable) (start $s)"),
    stopped("a start function that asks for ever", "", "fuel", _SPUN, data=_KEY, extra=f"(func $s {loop(_ASK)}) (start $s)"),
    stopped("a start function that is done", "", "exit", "code 9", imports='(import "wasi_snapshot_preview1" "proc_exit" '
            "(func $proc_exit (param i32)))", extra="(func $s (call $proc_exit (i32.const 9))) (start $s)"),
    stopped("nothing but host calls", loop("(drop (call $sched_yield))"), "fuel", _SPUN, imports=wasi("sched_yield")),
    stopped("nothing but random bytes", loop("(drop (call $random_get (i32.const 0) (i32.const 1000000)))"), "fuel", _SPUN,
            imports=_RANDOM, memory="99"),
    stopped("nothing but reads of a thousand pieces",
            loop("(drop (call $fd_read (i32.const 0) (i32.const 8192) (i32.const 1024) (i32.const 4)))"), "fuel", _SPUN),
    stopped("nothing but log", loop(_TO_BOTH.partition("(drop (call $fd_write (i32.const 1)")[0]), "fuel", _SPUN),
    stopped("both streams at once", loop(_TO_BOTH), "output", "bytes of answer", _PATIENT),
    stopped("random bytes of four gigabytes", "(drop (call $random_get (i32.const 0) (i32.const -1)))", "trap", "outside",
            imports=_RANDOM),
    stopped("random bytes at the very end", "(drop (call $random_get (i32.const -1) (i32.const 1)))", "trap", "outside",
            imports=_RANDOM),
    stopped("pieces behind the memory", "(drop (call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0)))",
            "trap", "outside"),
    stopped("a piece that ends behind it",
            "(i32.store (i32.const 0) (i32.const 131071)) (i32.store (i32.const 4) (i32.const 2))"
            "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))", "trap", "outside"),
    stopped("a count behind it", "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -2)))", "trap",
            "outside"),
    stopped("a clock told behind it", "(drop (call $clock_time_get (i32.const 0) (i64.const -1) (i32.const 131065)))", "trap",
            "outside", imports=wasi("clock_time_get i32 i64 i32")),
    stopped("sizes told behind it", "(drop (call $args_sizes_get (i32.const -4) (i32.const -4)))", "trap", "outside",
            imports=wasi("args_sizes_get i32 i32")),
    Ended("a memory that is a function", text("""
        (import "wasi_snapshot_preview1" "random_get" (func $r (param i32 i32) (result i32))) (memory 1)
        (func (export "memory")) (func (export "_start") (drop (call $r (i32.const 0) (i32.const 1))))"""), "trap", "outside"),
    Ended("no memory at all", text("""(import "microapp_v1" "call" (func $c (param i32 i32 i32 i32) (result i32)))
        (func (export "_start") (drop (call $c (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0))))"""), "trap",
          "outside"),
]  # fmt: skip


def refuses(what: str, functions: str, call: str) -> Ended:
    """A call of WASI that may do nothing: it says an error's number, and the guest goes on to its end."""
    return Ended(
        what,
        body(f"(if (i32.eqz {call}) (then unreachable))", imports=wasi(functions)),
        "done",
    )  # fmt: skip


DESCRIPTORS = [
    refuses("a stream put under the highest number", "fd_renumber i32 i32", "(call $fd_renumber (i32.const 1) (i32.const -1))"),
    refuses("rights to everything", "fd_fdstat_set_rights i32 i64 i64",
            "(call $fd_fdstat_set_rights (i32.const 0) (i64.const -1) (i64.const -1))"),
    refuses("a file below a stream that is closed", "path_open i32 i32 i32 i32 i32 i64 i64 i32 i32",
            """(call $path_open (i32.const 2147483647) (i32.const -1) (i32.const -1) (i32.const -1) (i32.const -1)
              (i64.const -1) (i64.const -1) (i32.const -1) (i32.const -1))"""),
    refuses("a million waits at once", "poll_oneoff i32 i32 i32 i32",
            "(call $poll_oneoff (i32.const 0) (i32.const -9) (i32.const 1000000) (i32.const -5))"),
    refuses("four billion pieces", "fd_datasync i32",
            "(call $fd_write (i32.const 2) (i32.const 0) (i32.const -1) (i32.const 0))"),
    refuses("a read from a stream that writes", "fd_datasync i32",
            "(call $fd_read (i32.const 2) (i32.const -1) (i32.const -1) (i32.const -1))"),
    refuses("a clock that is none", "clock_res_get i32 i32", "(call $clock_res_get (i32.const -1) (i32.const -1))"),
    refuses("random bytes of nine megabytes", "random_get i32 i32",
            "(block (result i32) (drop (memory.grow (i32.const 200))) (call $random_get (i32.const 0) (i32.const 9000000)))"),
]  # fmt: skip


def parts(what: str, code: str, status: str, why: str = "", caps: Caps = CAPS, **options: str) -> Ended:
    """A component whose `handle` is `code`; it has WASI 0.2."""
    return Ended(what, lambda: component_guests.with_wasi(f"{code} {_NOTHING}", **options), status, why, caps)


def giving(what: str, realloc: str, status: str, why: str = "", caps: Caps = CAPS) -> Ended:
    """A component that makes room for its request by `realloc`."""

    def made() -> bytes:
        return component_guests.component("(i32.const 16)", realloc=realloc)

    return Ended(what, made, status, why, caps)


_NOTHING = "(i32.store (i32.const 20) (i32.const 0)) (i32.const 16)"
_SOME = "(local $p i32) (local.set $p (call $subscribe (i64.const 1)))"
_DROP = "(call $drop_pollable (local.get $p))"
_TWICE = """(i32.store (i32.const 0) (local.get $p)) (i32.store (i32.const 4) (local.get $p))
  (call $poll (i32.const 0) (i32.const 2) (i32.const 32))"""
_WRITE = "(call $write (local.get $o) (i32.const 0) (i32.const {}) (i32.const 32))"
_OUT = "(local $o i32) (local.set $o (call $stderr))"
COMPONENTS_RUN = [
    parts("a handle let go of twice", f"{_SOME} {_DROP} {_DROP}", "trap", "handle"),
    parts("one handle lent twice in a call", f"{_SOME} {_TWICE} {_DROP}", "done"),
    parts("a handle that was made up", "(call $drop_pollable (i32.const -1))", "trap", "handle"),
    parts("nothing but the clock", loop("(drop (call $now))"), "fuel", _SPUN),
    parts("nothing but lists", _OUT + loop(_WRITE.format(4096)), "fuel", _SPUN),
    parts("a list longer than may be handed over", _OUT + _WRITE.format(4097), "trap", "at most 4096"),
    parts("a list of handles behind the memory", "(call $poll (i32.const -4) (i32.const 4) (i32.const 32))", "trap", "bounds"),
    giving("room behind the memory", "(i32.const -16)", "trap", "beyond end"),
    giving("room at an odd place", "(i32.const 3)", "done"),
    giving("room that takes for ever", f"{loop('(nop)')} unreachable", "fuel", _SPUN),
    giving("room that traps", "unreachable", "trap", "unreachable"),
    Ended("an answer behind four gigabytes", lambda: component_guests.component(
        "(i32.store (i32.const 16) (i32.const -1)) (i32.store (i32.const 20) (i32.const -1)) (i32.const 16)"), "trap"),
    Ended("fifty components in one another", beside("(component " * 50 + ")" * 50), "done"),
    Ended("sixty instances side by side", beside(
        "(core module $m (memory 0))".replace("(memory 0)", "") + "(core instance (instantiate $m))" * 60), "done"),
]  # fmt: skip
HARMLESS = [
    Ended("our door imported twice", text(f"""(import "microapp_v1" "call" (func (param i32 i32 i32 i32) (result i32)))
        (import "microapp_v1" "call" (func (param i32 i32 i32 i32) (result i32))) {MEMORY}"""), "done"),
    Ended("twenty thousand notes of one name", lambda: built(after=section(0, name("producers") + b"x") * 20_000), "done"),
    Ended("a note with a terminal's commands for a name", lambda: built(
        after=section(0, name("\0\x1b[2J\u202e") + b"x")), "done"),
    Ended("names of functions that are noise", lambda: built(after=section(0, name("name") + bytes(range(256)) * 9)), "done"),
    Ended("a jump to sixty thousand places", lambda: built(
        body=b"\0\x41\0\x0e" + number(60_000) + bytes(60_001) + b"\x0b"), "done"),
    Ended("two thousand functions with a thousand locals each", lambda: built(
        functions=2000, body=b"\1" + number(1000) + b"\x7f\x0b"), "done"),
]  # fmt: skip
ENDED = [*CODE, *CALLS, *DESCRIPTORS, *COMPONENTS_RUN, *HARMLESS]
