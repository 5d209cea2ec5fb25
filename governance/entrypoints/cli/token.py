"""`governance token reveal`: what a token of a flow stands for, for a role that policy names, recorded before it is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.model.request import Source
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_RULE = "platform/lib/reveal/allow"
_LONGEST_KEY = 1024


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 0 with the text on standard output; 1 where policy says no. Raises CallerError for a bad key or token."""
    import asyncio

    from governance.log_wiring import state_of
    from governance.platform.keys import KeyStore
    from governance.protect.keys import data_keys
    from governance.protect.transforms import detokenize
    from governance.wiring import for_cli

    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    presented = stdin.readline(_LONGEST_KEY).strip()
    if not presented:
        raise CallerError("no key was presented", where="<stdin>", hint="the text of an API key on standard input")
    identity = KeyStore(state_of(settings)).identify(presented)
    question = {
        "roles": [identity.role],
        "key_tenant": identity.tenant,
        "tenant": options.tenant,
        "entity": options.entity,
        "reason": options.reason,
        "token": options.token,
    }
    source = Source("cli.token", identity.actor, (identity.role,))
    with for_cli(settings) as line:
        decision_id, answer = asyncio.run(line.aquery(_RULE, question, source))
    if answer.text != "true":
        stderr.write(
            f"governance: not allowed, recorded as {decision_id}: see reveal_roles in rules/data/platform/flows.yaml\n"
        )
        return 1
    stdout.write(detokenize(options.token, options.entity, options.tenant, data_keys(settings.home)) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        "governance token",
        description="Turn a token that a data flow carries back into what it stands for.",
        epilog="The API key of who asks is read from standard input. Asking is recorded, whatever comes of it.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    reveal = verbs.add_parser("reveal", help="print the text of a token")
    reveal.add_argument("token", help="tok:…")
    reveal.add_argument("--entity", required=True, help="what it is, as the obligation says: EMPLOYEE_ID")
    reveal.add_argument("--tenant", required=True, help="the tenant whose flow carried it")
    reveal.add_argument("--reason", required=True, help="one sentence, kept in the audit log")
    return parser
