"""kube-apiserver and kubectl from the Go module proxy, built once into `.cache/kube`; etcd is Debian's `etcd-server`.

The module `k8s.io/kubernetes` replaces its staging modules by folders that only its own tree has; here each is replaced by the
release of the same number.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "kube"
VERSION = "1.37.2"
PROGRAMS = ("kube-apiserver", "kubectl")


def built() -> dict[str, Path] | None:
    """The programs, if they were built and etcd is installed; None otherwise."""
    etcd = shutil.which("etcd")
    paths = {name: FOLDER / "bin" / name for name in PROGRAMS}
    return {**paths, "etcd": Path(etcd)} if etcd and all(path.exists() for path in paths.values()) else None


def build() -> None:
    """Takes minutes the first time. Raises CalledProcessError with what Go said."""
    (FOLDER / "bin").mkdir(parents=True, exist_ok=True)
    source = json.loads(_go("mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}"))["GoMod"]
    text = Path(source).read_text()
    staged = sorted(set(re.findall(r"^\s*(?:replace )?(k8s\.io/[\w.-]+) => \./staging/", text, re.MULTILINE)))
    staged = staged or sorted(set(re.findall(r"(k8s\.io/[\w.-]+) v0\.0\.0", text)))
    minor = VERSION.partition(".")[2]
    go = re.search(r"^go (\S+)", text, re.MULTILINE)
    rows = [f"module kube\n\ngo {go[1] if go else '1.25'}\n", f"require k8s.io/kubernetes v{VERSION}\n"]
    rows += [f"replace {name} => {name} v0.{minor}" for name in staged]
    (FOLDER / "go.mod").write_text("\n".join(rows) + "\n")
    packages = ("k8s.io/kubernetes/cmd/kube-apiserver/app", "k8s.io/kubectl/pkg/cmd")
    imports = "\n".join(f'\t_ "{package}"' for package in packages)
    (FOLDER / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{imports}\n)\n")
    _go("mod", "tidy")
    for name in PROGRAMS:
        _go("build", "-trimpath", "-ldflags=-s -w", "-o", str(FOLDER / "bin" / name), f"k8s.io/kubernetes/cmd/{name}")


def _go(*argv: str) -> str:
    done = subprocess.run(
        ["go", *argv],
        cwd=FOLDER,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-3000:])
        done.check_returncode()
    return done.stdout


def main() -> int:
    if shutil.which("go") is None:
        print("there is no Go here, so no kube-apiserver to test against")
        return 0
    if shutil.which("etcd") is None:
        print("etcd is missing: apt-get install etcd-server")
        return 2
    if built() is None:
        print("building kube-apiserver and kubectl (minutes, once) …", flush=True)
        build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
