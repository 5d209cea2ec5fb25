"""From a module's bytes to code that may run: checked, then compiled in a process that can be killed.

A few kilobytes of module can cost a compiler minutes and gigabytes, so it runs apart, with a limit on memory, processor
time and the clock, and few of them at a time. What comes back is kept by the digest of the module and of the engine. The kept
file is machine code: the folder is ours alone, and a file whose digest is not the one written down when it was made is thrown
away. What was refused is refused again for a while without being compiled again: a call that is sent twice a second would
otherwise cost a minute of processor time each.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

from runtime_adapters.port import BadArtifact, RuntimeRefusal
from runtime_adapters.processes import dying_with_us

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_MODULE = 32 << 20
COMPILE_S = 60.0
LARGEST_CODE = 256 << 20
"""Bytes of machine code: a few hundred bytes of component can be gigabytes of it."""
REFUSED_S = 300.0
"""How long a refusal counts without a new attempt; a busy host may have been why."""
MOST_NAMES = 1000
"""Imports, and exports: the engine's binding makes Python objects of them, on a clock that no deadline stops."""
_COMPILE_MEMORY = 3 << 30
_AT_ONCE, _WAIT_S = 2, 5.0
_MOST_REFUSED = 1000
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
        self._compiling = threading.BoundedSemaphore(_AT_ONCE)
        self._refused: OrderedDict[Path, tuple[float, str]] = OrderedDict()

    def compiled(self, module: bytes) -> bytes:
        """Machine code for `module`. Raises BadArtifact, or RuntimeRefusal where too much is being compiled."""
        path = self._folder / hashlib.sha256(self._engine.encode() + b"\0" + module).hexdigest()
        kept = self._kept(path)
        if kept is not None:
            return kept
        code = self._made(path, module)
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        temporary.write_bytes(self._seal(code) + code)
        temporary.replace(path)
        return code

    def _made(self, path: Path, module: bytes) -> bytes:
        since, why = self._refused.get(path, (0.0, ""))
        if why and time.monotonic() - since < REFUSED_S:
            raise BadArtifact(why)
        if not self._compiling.acquire(timeout=_WAIT_S):
            raise RuntimeRefusal(f"{_AT_ONCE} modules are being compiled; try again when they are")
        try:
            return compile_apart(module)
        except BadArtifact as refused:
            self._refused[path] = time.monotonic(), str(refused)
            while len(self._refused) > _MOST_REFUSED:
                self._refused.popitem(last=False)
            raise
        finally:
            self._compiling.release()

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
        done = subprocess.run(  # noqa: S603  Python itself, on a program of ours
            [*dying_with_us(), sys.executable, "-P", "-c", "from runtime_adapters.wasm.compiling import main; main()"],
            input=module,
            capture_output=True,
            timeout=COMPILE_S,
            check=False,
            env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    except subprocess.TimeoutExpired:
        raise BadArtifact(f"the module takes longer than {COMPILE_S:g} s to compile") from None
    if done.returncode < 0:  # out of memory, the compiler aborts in the middle of its words
        raise BadArtifact(
            f"the module does not compile: its compiler ended by signal {-done.returncode}, out of its memory or time"
        )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadArtifact(f"the module does not compile: {said[-1][:300] if said else f'ended {done.returncode}'}")
    return done.stdout


def main() -> None:
    """The child: module on standard input, machine code on standard output."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_COMPILE_MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_DATA, (_COMPILE_MEMORY, _COMPILE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(COMPILE_S), int(COMPILE_S)))
    import wasmtime
    import wasmtime.component

    from runtime_adapters.wasm.engine import MOST_PARTS, configuration

    module = sys.stdin.buffer.read()
    # The pool reserves address space that the limit above forbids; machine code does not depend on it.
    engine = wasmtime.Engine(configuration(is_pooled=False))
    sort = wasmtime.component.Component if is_component(module) else wasmtime.Module
    try:
        made = sort(engine, module)
        code = made.serialize()
        if len(code) > LARGEST_CODE:
            _refuse(f"its machine code has {len(code)} bytes; at most {LARGEST_CODE} are taken")
        if names := _too_many(made, engine):
            _refuse(f"it has {names}; at most {MOST_NAMES} are taken")
        del made
    except wasmtime.WasmtimeError as error:
        _refuse(" ".join(str(error).split())[:300])
    try:
        # What no instance can be made of is refused here: a part of its code takes ten times its size to load.
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sort.deserialize(wasmtime.Engine(configuration(is_pooled=True, instances=MOST_PARTS)), code)
    except wasmtime.WasmtimeError as error:
        _refuse(f"it does not load: {' '.join(str(error).split())[:280]}")
    sys.stdout.buffer.write(code)


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(1)


def _too_many(made: Any, engine: Any) -> str:
    """Which names of a module or component nobody should go through, empty where there are few."""
    import wasmtime.component as parts

    if isinstance(made, parts.Component):
        told = made.type.imports(engine), made.type.exports(engine)
        inside = [extern.ty for side in told for extern in side.values()]
        inner = sum(len(kind.exports(engine)) for kind in inside if isinstance(kind, parts.ComponentInstanceType))
        counts = {"imports": len(told[0]), "exports": len(told[1]), "functions and types in them": inner}
    else:
        counts = {"imports": len(made.imports), "exports": len(made.exports)}
    return next((f"{count} {sort}" for sort, count in counts.items() if count > MOST_NAMES), "")


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
