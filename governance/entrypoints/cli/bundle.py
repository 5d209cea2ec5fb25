"""`governance bundle …`: OPA-format bundles: build, inspect, sign, verify."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Dispatch one verb; exit 2 for a bundle that must not serve."""
    options = _parser().parse_args(argv)
    verbs = {"build": _build, "inspect": _inspect, "sign": _sign, "verify": _verify}
    return verbs[options.verb](options, stdout)


def _build(options: argparse.Namespace, stdout: TextIO) -> int:
    """Compile and prove before anything is written: what cannot serve does not become a file."""
    from governance.policy.active import Extra
    from governance.policy.archive import packed_files, write_archive
    from governance.policy.build import build
    from governance.policy.bundle import load_bundle
    from governance.policy.locations import data_folder

    source = options.path or data_folder("rules")
    if options.v0:
        build(data_folder("rules"), [Extra(source, v0=True)])
    else:
        build(source, [])
    files = packed_files(load_bundle(source, v0=options.v0), options.revision, options.root, v0=options.v0)
    if options.key:
        files = _signed(files, options.key)
    write_archive(options.output, files)
    stdout.write(f"{options.output}: revision {json.loads(files['.manifest'])['revision']}, {len(files)} files\n")
    return 0


def _inspect(options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.bundle import files_of, load_bundle
    from governance.policy.metadata import metadata_of
    from governance.policy.signing import SIGNATURES

    bundle = load_bundle(options.path, v0=options.v0)
    rules = [meta for module in bundle.modules if (meta := metadata_of(module.text, module.path)) is not None]
    shown: dict[str, Json] = {
        "revision": bundle.revision,
        "roots": list(bundle.roots),
        "signed": SIGNATURES in files_of(options.path),
        "modules": [module.path for module in bundle.modules],
        "data": sorted(bundle.data) if isinstance(bundle.data, dict) else [],
        "rules": [{"id": meta.id, "severity": meta.severity, "title": meta.title} for meta in rules],
    }
    if options.format == "json":
        stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        return 0
    stdout.write(
        f"revision  {bundle.revision}\nroots     {', '.join(root or '(everything)' for root in bundle.roots)}\n"
    )
    stdout.write(f"signed    {'yes; `bundle verify --key` says by whom' if shown['signed'] else 'no'}\n")
    stdout.write(f"data      {', '.join(shown['data']) or '(none)'}\nmodules   {len(bundle.modules)}\n")
    stdout.writelines(f"  {meta.id:<12} {meta.severity:<9} {meta.title}\n" for meta in rules)
    return 0


def _sign(options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.archive import write_archive
    from governance.policy.bundle import files_of

    if os.path.isdir(options.path):
        raise CallerError("is a folder", where=options.path, hint="`bundle build -o FILE --key KEY` packs and signs it")
    write_archive(options.path, _signed(files_of(options.path), options.key))
    stdout.write(f"{options.path}: signed\n")
    return 0


def _verify(options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.bundle import files_of
    from governance.policy.signing import verify

    files = files_of(options.path)
    verify(files, _read(options.key), options.path)
    stdout.write(f"{options.path}: signed with this key, {len(files) - 1} files as they were signed\n")
    return 0


def _signed(files: Mapping[str, bytes], key_path: str) -> dict[str, bytes]:
    from governance.policy.signing import SIGNATURES, signatures_of

    return {**files, SIGNATURES: signatures_of(files, _read(key_path))}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=path) from error


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance bundle", description="Bundles in OPA's format.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="compile, prove and pack a folder of Rego and data")
    build.add_argument("path", nargs="?", default="", help="left out: the rule pack that comes with the package")
    build.add_argument("-o", "--output", default="bundle.tar.gz")
    build.add_argument("--revision", default="", help="left out: a digest over every file")
    build.add_argument("--root", action="append", default=[], help="a path that the bundle owns; may be repeated")
    build.add_argument("--key", default="", help="private key (PEM) to sign with: RSA, P-256 or Ed25519")
    inspect = verbs.add_parser("inspect", help="revision, roots, modules, rules")
    inspect.add_argument("path")
    inspect.add_argument("--format", choices=("text", "json"), default="text")
    sign = verbs.add_parser("sign", help="sign an archive")
    sign.add_argument("path")
    sign.add_argument("--key", required=True, help="private key (PEM)")
    verify = verbs.add_parser("verify", help="whether every file is as it was signed")
    verify.add_argument("path")
    verify.add_argument("--key", required=True, help="public key (PEM)")
    for verb in (build, inspect):
        verb.add_argument("--v0", action="store_true", help="its Rego is version 0")
    return parser
