"""What the broker costs a call: against a direct httpx call, and one through a plain Envoy, to the same TLS double.

`python tests/benchmarks/broker_cost.py [ROUNDS]`: the three are asked one after the other in every round; medians in
milliseconds of wall time and the ratio within the rounds. The double answers at once, so the ratios are the worst there are;
the difference is what a real vendor's answer time is to be compared with. Envoy only passes on: no key, no rule, no record.
"""

from __future__ import annotations

import itertools
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
from tests.benchmarks.gateway import start  # noqa: E402
from tests.journeys.envoy import free_port  # noqa: E402
from tests.unit.broker.conftest import CALL, CANARY, HOST, LUNCH, World  # noqa: E402


async def measure(world: World, rounds: int, envoy_port: int) -> list[list[float]]:
    """Seconds of the broker, a direct call and one through Envoy, round by round."""
    pin = world.double.pin
    context = ssl.create_default_context(cafile=pin["ca_file"])
    asked = {**CALL, "url": f"https://{HOST}/scim/v2/Users"}
    headers = {"host": HOST, "authorization": f"Bearer {CANARY}"}
    direct = f"https://127.0.0.1:{pin['port']}/scim/v2/Users"
    through = f"http://127.0.0.1:{envoy_port}/scim/v2/Users"
    found = []
    async with httpx.AsyncClient(verify=context) as client:
        for number in range(rounds):
            now = 1_800_000_000.0 + 2 * number
            world.broker._parts = world.broker._parts._replace(clock=lambda now=now: now)
            times = [time.perf_counter()]
            called = await world.broker.call(LUNCH, "hris", asked, entry_point="bench", trace_id="ab" * 16)
            times.append(time.perf_counter())
            assert called.refusal is None, called.refusal
            for url in (direct, through):
                answer = await client.get(url, headers=headers, extensions={"sni_hostname": HOST})
                assert answer.json()["totalResults"] == 2
                times.append(time.perf_counter())
            found.append([after - before for before, after in itertools.pairwise(times)])
    return found[5:]


def transport(ca_file: str) -> dict:
    """TLS towards the double, its certificate checked for the vendor's name, as the broker does."""
    validation = {"trusted_ca": {"filename": ca_file}, "match_typed_subject_alt_names": [
        {"san_type": "DNS", "matcher": {"exact": HOST}}]}  # fmt: skip
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    config = {"@type": tls, "sni": HOST, "common_tls_context": {"validation_context": validation}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        world = World(folder)
        pin = world.double.pin
        envoy = start(folder / "envoy.json", port, {"route": {"cluster": "up"}}, pin["port"], transport(pin["ca_file"]))
        try:
            world.vendor = hris(CANARY)
            found = world.runner.run(measure(world, rounds, port))
        finally:
            envoy.terminate()
            envoy.wait()
            world.close()
    ours, direct, through = (statistics.median(column) * 1000 for column in zip(*found, strict=True))
    print(f"broker {ours:.2f} ms, direct {direct:.2f} ms, through Envoy {through:.2f} ms; {len(found)} rounds")
    for place, what in ((1, "direct"), (2, "through Envoy")):
        ratio = statistics.median(row[0] / row[place] for row in found)
        print(f"broker / {what}: {ratio:.2f}, difference {ours - (direct, through)[place - 1]:.2f} ms")


if __name__ == "__main__":
    main()
