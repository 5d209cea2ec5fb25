"""Compiling a bundle in a process of its own: what it costs, or whatever it does to the engine, is not the service's.

`python -m governance.platform.bundles.build_main OUTPUT` reads `{main, extras, key}` from standard input. Exit 0 with the
packed policy in OUTPUT, or 1 with the reason on standard output.
"""

from __future__ import annotations

import json
import os
import sys

from governance.errors import GovernanceError
from governance.policy.active import Extra, compiled_bytes
from governance.state.files import write_whole


def main() -> int:
    """Build once."""
    wanted = json.load(sys.stdin)
    path, _, revision = wanted["main"]
    try:
        packed = compiled_bytes(
            path, [Extra(*row) for row in wanted["extras"]], bundle_key=bytes.fromhex(wanted["key"]), revision=revision
        )
    except (GovernanceError, OSError, RecursionError) as error:
        sys.stdout.write(str(error)[:2000])
        return 1
    write_whole(os.path.abspath(sys.argv[1]), packed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
