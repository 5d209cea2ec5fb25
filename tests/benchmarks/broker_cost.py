"""What the broker costs a call: against a direct httpx call to the same TLS double, one after the other in pairs.

`python tests/benchmarks/broker_cost.py [PAIRS]` prints medians in milliseconds and their ratio. The double answers at once, so
the ratio is the worst there is; the difference is what a real vendor's answer time is to be compared with.
"""

from __future__ import annotations

import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402

from governance.platform.broker.doubles import hris  # noqa: E402
from tests.unit.broker.conftest import CALL, CANARY, HOST, LUNCH, World  # noqa: E402


async def measure(world: World, pairs: int) -> tuple[list[float], list[float]]:
    pin = world.double.pin
    context = ssl.create_default_context(cafile=pin["ca_file"])
    ours, direct = [], []
    asked = {**CALL, "url": f"https://{HOST}/scim/v2/Users"}
    headers = {"host": HOST, "authorization": f"Bearer {CANARY}"}
    async with httpx.AsyncClient(verify=context) as client:
        for number in range(pairs):
            now = 1_800_000_000.0 + 2 * number
            world.broker._parts = world.broker._parts._replace(clock=lambda now=now: now)
            started = time.perf_counter()
            called = await world.broker.call(LUNCH, "hris", asked, entry_point="bench", trace_id="ab" * 16)
            ours.append(time.perf_counter() - started)
            assert called.refusal is None, called.refusal
            started = time.perf_counter()
            answer = await client.get(
                f"https://127.0.0.1:{pin['port']}/scim/v2/Users", headers=headers, extensions={"sni_hostname": HOST}
            )
            answer.json()
            direct.append(time.perf_counter() - started)
    return ours[5:], direct[5:]


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            world.vendor = hris(CANARY)
            ours, direct = world.runner.run(measure(world, pairs))
        finally:
            world.close()
    a, b = statistics.median(ours) * 1000, statistics.median(direct) * 1000
    ratio = statistics.median(x / y for x, y in zip(ours, direct, strict=True))
    print(f"broker {a:.2f} ms, direct {b:.2f} ms, ratio {ratio:.2f}, difference {a - b:.2f} ms, {len(ours)} pairs")


if __name__ == "__main__":
    main()
