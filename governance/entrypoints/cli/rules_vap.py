"""`governance rules vap`: the rules that Kubernetes can check by itself, as a ValidatingAdmissionPolicy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """\
# Made by `governance rules vap` from the rule pack; do not edit. The net under the webhook: what of the rules Kubernetes can
# check by itself it refuses also while the webhook is away. It knows no waivers: where a rule is waived for anybody, leave it
# out (`governance rules vap --without RULE`).
"""


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Print the policies and their bindings as YAML; what did not get in is said on standard error."""
    import argparse

    parser = argparse.ArgumentParser(
        "governance rules vap",
        description="The rules that Kubernetes can check by itself, as a ValidatingAdmissionPolicy (YAML).",
    )
    parser.add_argument("--rules", default="", metavar="DIR", help="another folder of rules")
    parser.add_argument(
        "--without", action="append", default=[], metavar="RULE", help="leave a rule out, for one that is waived"
    )
    options = parser.parse_args(argv)
    text, left_out = manifest(options.rules, options.without)
    stderr.writelines(f"{rule}: left out: {why}\n" for rule, why in left_out.items())
    stdout.write(text)
    return 0


def manifest(rules: str = "", without: Sequence[str] = ()) -> tuple[str, dict[str, str]]:
    """(YAML, why a rule of the table is not in it)."""
    import yaml

    from governance.policy.build import rules_of
    from governance.policy.bundle import load_bundle
    from governance.policy.locations import data_folder
    from governance.policy.vap import net_of

    bundle = load_bundle(rules or data_folder("rules"))
    net = net_of(rules_of(bundle), bundle.data, without)
    text = yaml.safe_dump_all(net.documents, sort_keys=False, width=120)
    return _HEAD + text, dict(net.left_out)
