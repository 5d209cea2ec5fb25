"""`governance connector approve|withdraw-approval`, in the name of the key on standard input: decided and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError, NotFound
from governance.wiring import active_of, approvals_of, registry_of, shipped_connectors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.platform.connector_approvals import Asked
    from governance.settings import Settings

_LONGEST_KEY = 1024


def answered(settings: Settings, options: argparse.Namespace, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """One yes, or the end of one; exit 1 where policy lets this one not give it."""
    from governance.log_wiring import open_recorder
    from governance.model.request import Source
    from governance.wiring import for_cli

    approvals, asked = approvals_of(settings), _asked(settings, options, stdin)
    source = Source("cli.connector", asked.identity.actor, (asked.identity.role,))
    with for_cli(settings) as line:
        decision = line.knowing(asked).decide(asked.request(source))
    if not decision.is_allowed:
        stderr.writelines(f"{v.rule} {v.path}: {v.message}\n  fix: {v.remediation}\n" for v in decision.violations)
        return 1
    is_yes = options.verb == "approve"
    if (
        not is_yes
    ):  # what is taken back has to stop before anything else can go wrong; asked again, its record is written
        approvals.keep(asked)
    with open_recorder(settings) as recorder:
        recorder.append(asked.entry(source))
    if is_yes:
        approvals.keep(asked)
    done = f"is approved as {asked.part}: {asked.digest}" if is_yes else f"is no longer approved as {asked.part}"
    waiting = standings(settings, [asked.connector])[0]["waits_for"]
    stdout.write(f"{options.name} {done}\n")
    stdout.write(f"It waits for {' and '.join(waiting)}.\n" if waiting else "Apps may use it.\n")
    return 0


def export(settings: Settings, stdout: TextIO) -> int:
    """Who approved what, signed by the log's key, for checks elsewhere."""
    from governance.log_wiring import signing_key_of
    from governance.platform.approval_notes import note_of

    stdout.write(note_of(approvals_of(settings).held(), signing_key_of(settings)))
    return 0


def standings(settings: Settings, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What stands with each entry's approval, as `standing` says it."""
    from governance.platform.connector_approvals import standing

    approvals, shipped = approvals_of(settings), shipped_connectors(active_of(settings))
    return [standing(entry, approvals, shipped) for entry in entries]


def entry_of(settings: Settings, name: str) -> dict[str, Any]:
    """A connector as it is registered; raises NotFound."""
    found = registry_of(settings).connectors.get(name)
    if found is None:
        raise NotFound(f"there is no connector {name[:63]!r}", hint="governance connector list")
    return found


def arguments(verbs: Any) -> None:
    """The verbs' arguments; `verbs` as `add_subparsers` gives it."""
    key = "The API key is read from standard input: of a role of rules/data/platform/connectors.yaml, and for its owner made "
    approve = verbs.add_parser(
        "approve",
        help="approve a connector as its owner or as compliance; two people have to before it has any effect",
        description=f"{key} with --team OWNER; both name their person, and two keys of one person are one. A document that "
        "changes has to be approved again; state, retires_at, replaced_by, documentation and usage_limits may change without.",
    )
    approve.add_argument(
        "--digest", default="", help="of the document that was read, as `show` prints it; left out: today's"
    )
    back = verbs.add_parser(
        "withdraw-approval",
        help="take an approval back: calls are refused at once, also by a running service, until somebody approves again",
        description=f"{key} with --team OWNER; whoever gave an approval may take it back as well. One person is enough. The "
        "documents that come with the program are stopped the same way.",
    )
    back.add_argument("--digest", default="*", help="of one document; left out: whichever is registered, now or later")
    verbs.add_parser(
        "export-approvals",
        help="print which documents are approved, signed by the log's key: governance check --approvals goes by it",
    )
    for verb in (approve, back):
        verb.add_argument("name")
        verb.add_argument("--as", dest="part", required=True, choices=("owner", "compliance"))
        verb.add_argument("--reason", required=True, help="one sentence, kept in the audit log")


def _asked(settings: Settings, options: argparse.Namespace, stdin: TextIO) -> Asked:
    from connectors_registry.digests import digest_of
    from governance.log_wiring import state_of
    from governance.platform.connector_approvals import Asked, AskedBack
    from governance.platform.keys import KeyStore

    presented = stdin.readline(_LONGEST_KEY).strip()
    if not presented:
        raise CallerError("no key was presented", where="<stdin>", hint="the text of an API key on standard input")
    identity, entry = KeyStore(state_of(settings)).identify(presented), entry_of(settings, options.name)
    said = {"part": options.part, "digest": options.digest or digest_of(entry), "reason": options.reason}
    kind = Asked if options.verb == "approve" else AskedBack
    return kind(entry, approvals_of(settings), identity, **said)
