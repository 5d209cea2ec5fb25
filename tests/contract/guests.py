"""Guests in WebAssembly text: small programs that do one thing, honest or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import wasmtime

if TYPE_CHECKING:
    from collections.abc import Callable


def wat(text: str) -> bytes:
    """A module as it stands."""
    return bytes(wasmtime.wat2wasm(text))


def remembering() -> Callable[[bytes, float], bytes]:
    """A broker that keeps what a guest puts and gives it back."""
    kept: dict[str, object] = {}

    def broker(raw: bytes, _left: float) -> bytes:
        asked = json.loads(raw)
        if asked["op"] == "kv.put":
            kept[asked["key"]] = asked["value"]
            return b'{"ok":null}'
        return json.dumps({"ok": kept.get(asked["key"])}).encode()

    return broker


# At 0 what is said, at 4096 the two words of an iovec, at 8192 what is heard.
_IMPORTS = """
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "microapp_v1" "call" (func $call (param i32 i32 i32 i32) (result i32)))
"""
_SAY = """
(func $say (param $at i32) (param $length i32)
  (i32.store (i32.const 4096) (local.get $at)) (i32.store (i32.const 4100) (local.get $length))
  (drop (call $fd_write (i32.const 1) (i32.const 4096) (i32.const 1) (i32.const 4104))))
"""


def module(body: str, *, data: str = "", extra: str = "", memory: str = "2", imports: str = "") -> bytes:
    """A module whose `_start` is `body`; `data` lies at address 0, `extra` stands beside it."""
    escaped = data.replace("\\", "\\\\").replace('"', '\\"')
    text = f"""(module {_IMPORTS} {imports} (memory (export "memory") {memory}) (data (i32.const 0) "{escaped}")
      {_SAY} {extra} (func (export "_start") {body}))"""
    return wat(text)


ECHO = module("""
  (i32.store (i32.const 4096) (i32.const 8192)) (i32.store (i32.const 4100) (i32.const 60000))
  (drop (call $fd_read (i32.const 0) (i32.const 4096) (i32.const 1) (i32.const 4104)))
  (call $say (i32.const 8192) (i32.load (i32.const 4104)))""")


def asking(request: str, *, capacity: int = 50_000) -> bytes:
    """Sends `request` out and says what it heard."""
    return module(
        f"""(i32.store (i32.const 4108)
              (call $call (i32.const 0) (i32.const {len(request)}) (i32.const 8192) (i32.const {capacity})))
            (call $say (i32.const 8192) (i32.load (i32.const 4108)))""",
        data=request,
    )


def reporting(call: str, imports: str = "") -> bytes:
    """Says the number that `call` gives, as one byte."""
    return module(
        f"(i32.store8 (i32.const 8192) {call}) (call $say (i32.const 8192) (i32.const 1))",
        imports=imports,
        data="/etc/passwd",
    )


def wasi(name: str, parameters: str) -> str:
    """An import of one more function of preview 1."""
    return f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {parameters}) (result i32)))'
