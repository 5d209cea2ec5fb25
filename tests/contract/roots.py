"""Root file systems for apps that are processes: busybox, and a shell script that speaks the line protocol."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact

BUSYBOX = shutil.which("busybox")
ECHO = """while read -r line; do b=${line#*: ?}; echo "{\\"answer\\": \\"${b%?\\}}\\"}"; done"""


def answering(command: str) -> str:
    """A program that answers what `command` prints."""
    return f"""read -r line; echo "{{\\"answer\\": \\"$({{ {command}; }} 2>&1 | base64 | tr -d '\\n')\\"}}"; read -r line"""


def archive(script: str, members=()) -> bytes:
    """A root file system with busybox and `/app/run`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:

        def add(name, content=b"", mode=0o755, sort=tarfile.REGTYPE, link=""):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.type, info.linkname = len(content), mode, sort, link
            tar.addfile(info, io.BytesIO(content))

        for folder in ("bin", "app", "proc", "tmp"):
            add(folder, sort=tarfile.DIRTYPE)
        if BUSYBOX:
            add("bin/busybox", Path(BUSYBOX).read_bytes())
            for applet in (
                "sh",
                "cat",
                "ls",
                "base64",
                "tr",
                "sleep",
                "dd",
                "id",
                "wget",
                "mount",
                "mkdir",
                "touch",
                "head",
            ):
                add(f"bin/{applet}", sort=tarfile.SYMTYPE, link="busybox")
        add("app/run", f"#!/bin/sh\n{script}\n".encode())
        for member in members:
            add(**member)
    return raw.getvalue()


@contextmanager
def starting(adapter, folder: Path, runtime: str, caps: Caps):
    """`start(script, broker, caps)`: an instance of an app that is the script; each ends with the block."""
    instances = []

    def start(script, broker=lambda _raw, _left: b'{"ok":1}', caps=caps):
        raw = archive(script)
        path = folder / "rootfs.tar"
        path.write_bytes(raw)
        plan = RuntimePlan("lunch", "marketing", "id-1", runtime, caps, ())
        instance = adapter.prepare(plan, Artifact(str(path), hashlib.sha256(raw).hexdigest())).start(broker)
        instances.append(instance)
        return instance

    try:
        yield start
    finally:
        for instance in instances:
            instance.stop()
