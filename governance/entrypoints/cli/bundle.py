"""`governance bundle …`: OPA-format bundles: build, inspect, sign, verify; releases: list, activate."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.documents.files import read_whole
from governance.errors import CallerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json
    from governance.platform.bundles.keeper import Keeper
    from governance.platform.bundles.releases import Release
    from governance.policy.bundle import Bundle


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb; exit 2 for a bundle that must not serve."""
    options = _parser().parse_args(argv)
    options.warn = stderr.write
    verbs = {
        "build": _build, "inspect": _inspect, "sign": _sign, "verify": _verify, "list": _list, "activate": _activate,
    }  # fmt: skip
    return verbs[options.verb](options, stdout)


def _build(options: argparse.Namespace, stdout: TextIO) -> int:
    """Compile and prove before anything is written: what cannot serve does not become a file."""
    from governance.policy.active import Extra
    from governance.policy.archive import packed_files, write_archive
    from governance.policy.build import build
    from governance.policy.bundle import files_of, load_bundle
    from governance.policy.locations import data_folder

    source = options.path or data_folder("rules")
    if options.v0:
        build(data_folder("rules"), [Extra(source, v0=True)])
    else:
        build(source, [])
    bundle = load_bundle(source, v0=options.v0)
    _warn_of_tenants(bundle, options)
    files = packed_files(bundle, options.revision, options.root, v0=options.v0, cases=files_of(source))
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
    _warn_of_tenants(bundle, options)
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


def _warn_of_tenants(bundle: Bundle, options: argparse.Namespace) -> None:
    """Say which tenants of the modes nobody knows: a mistyped one leaves the tenant that was meant at the rule's own mode.

    Not refused: the directory of tenants is no part of a bundle, and may be another where it serves.
    """
    from governance.policy.modes import tenants_named

    platform = bundle.data.get("platform") if isinstance(bundle.data, dict) else None
    named = tenants_named(platform.get("modes") if isinstance(platform, dict) else None)
    if not named:
        return
    from governance.settings import from_environment
    from governance.wiring import registry_of

    try:
        known = registry_of(from_environment(os.environ)).tenants
    except CallerError as error:
        options.warn(f"warning: whether the tenants of its modes are known was not looked up: {error}\n")
        return
    for tenant, rules in sorted(named.items()):
        if tenant not in known:
            options.warn(
                f"warning: {options.path or bundle.name}: data.platform.modes: the mode of {', '.join(rules)} is said of the "
                f"tenant {tenant!r}, which the registry does not know; known: {', '.join(sorted(known))}\n"
            )


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
    verify(files, read_whole(options.key), options.path)
    stdout.write(f"{options.path}: signed with this key, {len(files) - 1} files as they were signed\n")
    return 0


def _list(options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.platform.bundles.releases import Shelf
    from governance.settings import from_environment

    shelf = Shelf(from_environment(os.environ).home)
    standing = shelf.standing()
    for release in shelf.all():
        is_active = standing is not None and standing.release.id == release.id
        mark = ("pinned" if standing and standing.is_pinned else "active") if is_active else ""
        if options.format == "json":
            row = {"revision": release.revision, "release": release.id, "made_at": release.made_at, "state": mark}
            stdout.write(json.dumps({**row, "bundles": [part._asdict() for part in release.parts]}) + "\n")
        else:
            stdout.write(
                f"{release.id[:12]}  {mark:<7} {release.made_at[:19]}Z  {release.rules:>5} rules  {release.revision}\n"
            )
    return 0


def _activate(options: argparse.Namespace, stdout: TextIO) -> int:
    """Pin a release, or follow the sources again; recorded before it is in force."""
    from governance.settings import from_environment
    from governance.wiring import keeper_of, record_change

    settings = from_environment(os.environ)
    keeper = keeper_of(settings, lambda _: None)
    shelf, standing = keeper.shelf, keeper.shelf.standing()
    if options.revision == "latest":
        release = next((r for r in shelf.all() if r.config == keeper.plan.config), None)
    else:
        release = (
            _built_here(options.revision, keeper) if os.path.exists(options.revision) else shelf.find(options.revision)
        )
    if release is None or release.config != keeper.plan.config or shelf.packed(release.id) is None:
        raise CallerError(
            "no such release was made of the bundles and with the key that the settings name",
            where=options.revision,
            hint="`governance bundle list`; the settings have to be those of the service",
        )
    if (
        standing is not None
        and standing.release.id == release.id
        and standing.is_pinned == (options.revision != "latest")
    ):
        stdout.write(f"{release.revision} is in force already\n")
        return 0

    def record(public: dict[str, Json]) -> None:
        record_change(settings, "bundle_activated", {**public, "entry_point": "cli.bundle"})

    shelf.activate(release, f"os-uid:{os.getuid()}", record, pin=options.revision != "latest", why=options.reason)
    if options.revision == "latest":
        shelf.ask_to_rebuild()
    stdout.write(f"in force: {release.revision}; a running service answers with it within a second\n")
    return 0


def _built_here(path: str, keeper: Keeper) -> Release:
    """The main bundle at `path`, verified and compiled with what serves beside it."""
    from governance.platform.bundles.keeper import build_apart, revisions_of
    from governance.platform.bundles.releases import Part

    extras = keeper.plan.sources[1:]
    if any(source.is_remote for source in extras):
        raise CallerError(
            "bundles beside it are fetched", where=path, hint="let the service fetch, and name a revision"
        )
    rows = [(os.path.abspath(path), False, ""), *((source.location, source.v0, "") for source in extras)]
    packed = build_apart(rows, keeper.plan.key, keeper.plan.build_timeout_s)
    keeper.shelf.prepare()
    locations = [os.path.abspath(path), *(source.location for source in extras)]
    revisions = revisions_of(packed, len(rows))
    parts = [Part(s.name, at, r) for s, at, r in zip(keeper.plan.sources, locations, revisions, strict=True)]
    return keeper.shelf.add(packed, keeper.plan.config, parts)


def _signed(files: Mapping[str, bytes], key_path: str) -> dict[str, bytes]:
    from governance.policy.signing import SIGNATURES, signatures_of

    return {**files, SIGNATURES: signatures_of(files, read_whole(key_path))}


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance bundle", description="Bundles in OPA's format.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="compile, prove and pack a folder of Rego and data")
    build.add_argument("path", nargs="?", default="", help="left out: the rule pack that comes with the package")
    build.add_argument("-o", "--output", default="bundle.tar.gz")
    build.add_argument("--revision", default="", help="left out: a digest over every file")
    build.add_argument("--root", action="append", default=[], help="a path that the bundle owns; may be repeated")
    build.add_argument("--key", default="", help="private key (PEM: RSA, P-256, Ed25519) or shared secret to sign with")
    inspect = verbs.add_parser("inspect", help="revision, roots, modules, rules")
    inspect.add_argument("path")
    inspect.add_argument("--format", choices=("text", "json"), default="text")
    sign = verbs.add_parser("sign", help="sign an archive")
    sign.add_argument("path")
    sign.add_argument("--key", required=True, help="private key (PEM), or a file with a shared secret")
    verify = verbs.add_parser("verify", help="whether every file is as it was signed")
    verify.add_argument("path")
    verify.add_argument("--key", required=True, help="public key (PEM), or a file with a shared secret")
    listing = verbs.add_parser("list", help="the releases of GOVERNANCE_HOME, newest first, and which one is in force")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    activate = verbs.add_parser("activate", help="pin a release, or a bundle here; `latest` follows the sources again")
    activate.add_argument("revision", help="a revision, eight characters of a release's id, a path, or `latest`")
    activate.add_argument("--reason", default="by an operator", help="goes into the record")
    for verb in (build, inspect):
        verb.add_argument("--v0", action="store_true", help="its Rego is version 0")
    return parser
