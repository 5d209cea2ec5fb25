"""Guests as components in WebAssembly text, against the world of `runtime_adapters/wit/microapp.wit`."""

from __future__ import annotations

import wasmtime

TYPES = """(import "microapp:host/types@1.0.0" (instance $types
  (type $record (record (field "code" string) (field "message" string)))
  (export "refusal" (type (eq $record)))))
(alias export $types "refusal" (type $refusal))"""
# Gives out memory from the second page on, and more of it where that is used up.
_REALLOC = """(local $begin i32)
    (local.set $begin (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
    (global.set $at (i32.add (local.get $begin) (local.get 3)))
    (if (i32.gt_u (global.get $at) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.shr_u (i32.add (local.get 3) (i32.const 131072)) (i32.const 16))))))
    (local.get $begin)"""
_LIBC = """(core module $libc (memory (export "memory") 2)
  (global $at (mut i32) (i32.const 65536))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) {}))
(core instance $libc (instantiate $libc))"""
_OPTIONS = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'


def component(
    body: str, *, imports: str = "", lowered: str = "", passed: str = "", extra: str = "", realloc: str = _REALLOC
) -> bytes:
    """A component whose `handle` is `body`: at local 0 and 1 the request, left behind the address of (address, length)."""
    return bytes(
        wasmtime.wat2wasm(f"""(component {imports} {_LIBC.format(realloc)} {lowered}
      (core module $main (import "libc" "memory" (memory 2)) {extra}
        (func (export "handle") (param i32 i32) (result i32) {body}))
      (core instance $main (instantiate $main (with "libc" (instance $libc)) {passed}))
      (func $handle (param "request" string) (result string)
        (canon lift (core func $main "handle") {_OPTIONS}))
      (export "handle" (func $handle)))""")
    )


ECHO = component("""(i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)""")


def interface(name: str, function: str, parameters: str, result: str = "(result string (error $shared))") -> str:
    """An import of one function as toolchains write it."""
    return f"""{TYPES} (import "microapp:host/{name}@1.0.0" (instance $door
      (alias outer 1 $refusal (type $outer)) (export "refusal" (type $shared (eq $outer)))
      (export "{function}" (func {parameters} (result {result})))))"""


def asking(name: str, function: str, *texts: str) -> bytes:
    """Calls `function` with the request behind `texts`, and answers with what it heard, or with the refusal's code."""
    names = [f"p{number}" for number in range(len(texts) + 1)]
    places, at = [], 1024
    for text in texts:
        places.append((at, text))
        at += len(text)
    data = "".join(f'(data (i32.const {where}) "{text}")' for where, text in places)
    given = " ".join(f"(i32.const {where}) (i32.const {len(text)})" for where, text in places)
    return component(
        f"(call $ask {given} (local.get 0) (local.get 1) (i32.const 32)) (i32.const 36)",
        imports=interface(name, function, " ".join(f'(param "{param}" string)' for param in names)),
        lowered=f'(core func $ask (canon lower (func $door "{function}") {_OPTIONS}))',
        passed='(with "host" (instance (export "ask" (func $ask))))',
        extra=f'(import "host" "ask" (func $ask (param {"i32 " * (2 * len(names) + 1)}))) {data}',
    )


def logging(times: int) -> bytes:
    """Writes the request to the log so many times."""
    return component(
        "(call $log (local.get 0) (local.get 1)) " * times + "(i32.const 16)",
        imports='(import "log" (func $log (param "text" string)))',
        lowered=f"(core func $log (canon lower (func $log) {_OPTIONS}))",
        passed='(with "host" (instance (export "log" (func $log))))',
        extra='(import "host" "log" (func $log (param i32 i32)))',
    )


STREAMS = """(import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
(alias export $error "error" (type $failure))
(import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type $p (sub resource)))
  (export "[method]pollable.block" (func (param "self" (borrow $p))))
  (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:io/streams@0.2.0" (instance $streams
  (export "output-stream" (type $o (sub resource)))
  (alias outer 1 $failure (type $f)) (export "error" (type $e (eq $f)))
  (type $se (variant (case "last-operation-failed" (own $e)) (case "closed")))
  (export "stream-error" (type $s (eq $se)))
  (export "[method]output-stream.write"
    (func (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $s)))))))
(alias export $streams "output-stream" (type $out))
(import "wasi:cli/stderr@0.2.0" (instance $err (alias outer 1 $out (type $x)) (export "output-stream" (type $o (eq $x)))
  (export "get-stderr" (func (result (own $o))))))
(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (alias outer 1 $pollable (type $x))
  (export "pollable" (type $p (eq $x))) (export "now" (func (result u64)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
(import "wasi:random/random@0.2.0" (instance $random
  (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
(import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))"""
_DOORS = {
    "write": ('(func $streams "[method]output-stream.write")', "i32 i32 i32 i32", ""),
    "stderr": ('(func $err "get-stderr")', "", "i32"),
    "block": ('(func $poll "[method]pollable.block")', "i32", ""),
    "poll": ('(func $poll "poll")', "i32 i32 i32", ""),
    "now": ('(func $clock "now")', "", "i64"),
    "subscribe": ('(func $clock "subscribe-duration")', "i64", "i32"),
    "random": ('(func $random "get-random-bytes")', "i64 i32", ""),
    "exit": ('(func $exit "exit")', "i32", ""),
}


def with_wasi(body: str, *, extra: str = "", imports: str = STREAMS) -> bytes:
    """As `component`, with functions of WASI 0.2 beside it: `$write`, `$stderr`, `$block`, `$poll`, `$now` and so on."""
    lowered = (
        "".join(f"(core func $w_{name} (canon lower {door} {_OPTIONS}))" for name, (door, _, _) in _DOORS.items())
        + "(core func $w_drop_pollable (canon resource.drop $pollable))"
    )
    passed = "".join(f'(export "{name}" (func $w_{name}))' for name in [*_DOORS, "drop_pollable"])
    taken = "".join(
        f'(import "wasi" "{name}" (func ${name} (param {given}) {f"(result {result})" if result else ""}))'
        for name, (_, given, result) in [*_DOORS.items(), ("drop_pollable", ("", "i32", ""))]
    )
    return component(
        body, imports=imports, lowered=lowered, passed=f'(with "wasi" (instance {passed}))', extra=taken + extra
    )
