"""From a module's bytes to code that may run: checked, then compiled in a process that can be killed.

A few kilobytes of module can cost a compiler minutes and gigabytes, so it runs apart, with a limit on memory, processor
time and the clock. What comes back is kept by the digest of the module and of the engine. The kept file is machine code:
the folder is ours alone, and a file whose digest is not the one written down when it was made is thrown away.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from runtime_adapters.port import BadArtifact, RuntimeRefusal

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_MODULE = 32 << 20
COMPILE_S = 60.0
_COMPILE_MEMORY = 3 << 30
_MODULE, _COMPONENT = b"\0asm\1\0\0\0", b"\0asm\x0d\0\1\0"


class CodeCache:
    """Compiled modules below one private folder."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._engine = engine
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077 or folder.stat().st_uid != os.geteuid():
            raise RuntimeRefusal(f"{folder}: other accounts can write machine code here; chmod 700, or remove it")
        self._secret = _secret(folder / "seal")

    def compiled(self, module: bytes) -> bytes:
        """Machine code for `module`. Raises BadArtifact."""
        path = self._folder / hashlib.sha256(self._engine.encode() + b"\0" + module).hexdigest()
        kept = self._kept(path)
        if kept is not None:
            return kept
        code = compile_apart(module)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(self._seal(code) + code)
        temporary.replace(path)
        return code

    def _kept(self, path: Path) -> bytes | None:
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        seal, code = raw[:32], raw[32:]
        if hmac.compare_digest(seal, self._seal(code)):
            return code
        path.unlink(missing_ok=True)
        return None

    def _seal(self, code: bytes) -> bytes:
        return hmac.digest(self._secret, code, "sha256")


def is_component(raw: bytes) -> bool:
    """Whether these bytes say that they are a component."""
    return raw.startswith(_COMPONENT)


def compile_apart(module: bytes) -> bytes:
    """Compile in a child process. Raises BadArtifact for what is no module, or costs too much."""
    if len(module) > LARGEST_MODULE:
        raise BadArtifact(f"the module has {len(module)} bytes; at most {LARGEST_MODULE} are taken")
    if not module.startswith((_MODULE, _COMPONENT)):
        raise BadArtifact("neither a WebAssembly core module (version 1) nor a component")
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from runtime_adapters.wasm.compiling import main; main()"],
            input=module,
            capture_output=True,
            timeout=COMPILE_S,
            check=False,
            env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    except subprocess.TimeoutExpired:
        raise BadArtifact(f"the module takes longer than {COMPILE_S:g} s to compile") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadArtifact(f"the module does not compile: {said[-1][:300] if said else f'ended {done.returncode}'}")
    return done.stdout


def main() -> None:
    """The child: module on standard input, machine code on standard output."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_COMPILE_MEMORY, _COMPILE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(COMPILE_S), int(COMPILE_S)))
    import wasmtime
    import wasmtime.component

    from runtime_adapters.wasm.engine import configuration

    module = sys.stdin.buffer.read()
    try:
        # The pool reserves address space that the limit above forbids; machine code does not depend on it.
        engine = wasmtime.Engine(configuration(is_pooled=False))
        code = (wasmtime.component.Component if is_component(module) else wasmtime.Module)(engine, module).serialize()
    except wasmtime.WasmtimeError as error:
        sys.stderr.write(" ".join(str(error).split())[:300] + "\n")
        sys.exit(1)
    sys.stdout.buffer.write(code)


def _secret(path: Path) -> bytes:
    """A key of this folder: a file that somebody put here without it is not loaded."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        secret = os.urandom(32)
        file.write(secret)
    return secret
