"""One decision of a verified package in words: what was asked, what was answered, by which policy text and for which control.

Standard library only: auditors run this. The policy text is there when the export was made with its bundles.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from audit.errors import BadPackage
from audit.packages import Manifest, Package, read_manifest
from audit.walk import records_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from audit.walk import Record

_POLICY = re.compile(r"policy-[0-9a-f]{16}-[0-9a-f]{16}\.json")
_LONGEST_POLICY = 256 << 20


def show(path: str, decision: str, write: Callable[[str], object]) -> None:
    """Write about a decision; raises BadPackage when the package holds no record of it."""
    with Package(path) as package:
        manifest = read_manifest(package, "")
        record = next(
            (r for r in records_of(package, manifest) if r.leaf["public"].get("decision_id") == decision), None
        )
        if record is None:
            raise BadPackage(f"no record of the decision {decision[:60]!r} is in this export")
        _tell_record(record, write)
        policy = _policy(package, manifest, str(record.leaf["public"].get("revision", "")))
        for rule in record.leaf["public"].get("rules", []):
            _tell_rule(str(rule), policy, write)


def _tell_record(record: Record, write: Callable[[str], object]) -> None:
    leaf, public = record.leaf, record.leaf["public"]
    write(f"\nrecord {leaf['index']}, {leaf['time']}: {leaf['kind']} by {public.get('actor', '?')}\n")
    write(f"  app {public.get('app') or '-'}, tenant {public.get('tenant') or '-'}: {public.get('effect')}\n")
    write(f"  decided by revision {public.get('revision', '?')}\n")
    answer = _value(record, "answer")
    if isinstance(answer, dict):
        write(f"  {answer.get('reason', '')}\n")
        for violation in answer.get("violations", []):
            waived = f", waived by {violation['waived_by']}" if violation.get("waived_by") else ""
            write(
                f"  - {violation.get('rule')} at {violation.get('path') or '/'}: {violation.get('message')}{waived}\n"
            )
            write(f"    controls: {', '.join(violation.get('controls', []))}\n")
    for name in ("input", "facts"):
        if name in record.openings:
            write(f"  {name}: {record.openings[name].raw.decode('utf-8', 'backslashreplace')}\n")
        elif name in leaf["commitments"]:
            write(f"  {name}: recorded, and not readable in this export\n")


def _value(record: Record, name: str) -> Any:
    return json.loads(record.openings[name].raw) if name in record.openings else None


def _tell_rule(rule: str, policy: dict[str, Any], write: Callable[[str], object]) -> None:
    meta = next((row for row in policy.get("rules", []) if row.get("id") == rule), None)
    if meta is None:
        write(f"\n{rule}: its text is not in this export (`--with-bundles` puts it there)\n")
        return
    text = next((text for path, text in policy.get("modules", []) if path == meta.get("file")), "")
    write(f"\n{rule}: {meta.get('title')}\n  {meta.get('description')}\n")
    write(f"  controls: {', '.join(meta.get('controls', []))}\n\n{text}\n")


def _policy(package: Package, manifest: Manifest, revision: str) -> dict[str, Any]:
    """The policy of a revision; records_of has shown that the records are whole, and verify that the files are."""
    for name, file in manifest.files.items():
        if _POLICY.fullmatch(name) and file.bytes <= _LONGEST_POLICY:
            with package.open(name) as stream:
                policy = json.loads(stream.read(file.bytes))
            if isinstance(policy, dict) and policy.get("revision") == revision:
                return policy
    return {}
