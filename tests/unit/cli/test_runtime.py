"""`governance runtime doctor` says what was found by starting something."""

import json


def test_the_doctor_starts_something_in_every_runtime(cli):
    done = cli("runtime", "doctor", "--format", "json")
    found = json.loads(done.out)
    assert found["wasm"]["is_available"] is True
    assert found["wasm"]["engine"].startswith("wasmtime ")
    assert set(found) >= {"wasm", "container", "microvm"}
    assert done.code == 0


def test_a_runtime_that_is_not_there_says_why(cli):
    done = cli("runtime", "doctor", PATH="/nowhere")
    (row,) = [line for line in done.out.splitlines() if line.startswith("container")]
    assert " NO " in row
    assert "apt-get install runsc" in row
