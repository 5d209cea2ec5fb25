"""An attestation says what was decided, in every member, or nothing is started."""

from __future__ import annotations

import pytest

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, Attestation, NotWhatWasDecided
from runtime_adapters.statement import check_attested, statement

CAPS = Caps(0.5, 64, 1000, 8)
PLAN = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ("hr.example",), "coarse", "seeded")
ARTIFACT = Artifact("/x", "ab" * 32)
GIVEN = Attestation(
    "wasm", "wasm", "wasmtime 50", "id-1", "lunch", "marketing", {"module": f"sha256:{'ab' * 32}"},
    dict(CAPS._asdict()), ("hr.example",), "fuel", "coarse", "seeded",
)  # fmt: skip


def test_the_statement_names_the_parts_and_under_what_they_run():
    told = statement(GIVEN)
    assert told["subject"] == [{"name": "module", "digest": {"sha256": "ab" * 32}}]
    assert told["predicate"]["clock"] == "coarse"
    assert told["predicate"]["randomness"] == "seeded"
    assert "digests" not in told["predicate"]
    check_attested(PLAN, ARTIFACT, GIVEN)
    check_attested(PLAN, Artifact("/x", f"sha256:{'ab' * 32}"), GIVEN)


@pytest.mark.parametrize(
    "changes",
    [
        {"decision_id": "id-2"},
        {"app": "payroll"},
        {"tenant": "hr"},
        {"adapter": "container"},
        {"caps": {**CAPS._asdict(), "memory_mib": 65}},
        {"egress_allow": ("hr.example", "evil.example")},
        {"clock": "real"},
        {"randomness": "real"},
        {"digests": {"module": f"sha256:{'cd' * 32}"}},
        {"digests": {}},
        {"digests": {"kernel": f"sha256:{'ab' * 32}"}},
        {"digests": {"module": f"sha256:{'ab' * 32}", "rootfs": f"sha256:{'cd' * 32}"}},
    ],
    ids=str,
)
def test_whatever_is_otherwise_is_refused_by_name(changes):
    with pytest.raises(NotWhatWasDecided, match=r"decision says|manifest says"):
        check_attested(PLAN, ARTIFACT, GIVEN._replace(**changes))


def test_a_machine_is_what_either_of_its_engines_runs():
    plan = PLAN._replace(runtime_class="microvm")
    given = GIVEN._replace(digests={"rootfs": f"sha256:{'ab' * 32}"})
    for adapter in ("microvm", "firecracker"):
        check_attested(plan, ARTIFACT, given._replace(adapter=adapter))
    with pytest.raises(NotWhatWasDecided, match="adapter"):
        check_attested(PLAN, ARTIFACT, GIVEN._replace(adapter="firecracker"))
