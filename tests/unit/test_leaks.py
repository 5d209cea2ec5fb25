"""The search that follows every run finds what it is for."""

from __future__ import annotations

import base64
import gzip
import tempfile
from pathlib import Path

import pytest

from tests.leaks import CANARIES, leaks_below


@pytest.mark.parametrize("value", CANARIES)
def test_a_canary_beside_the_store_is_found_in_every_form(value):
    # Beside the folders of this run, which are searched when it ends.
    raw = value.encode()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        (home / "deep").mkdir(parents=True)
        (home / "secrets.db").write_bytes(b"sealed")
        assert leaks_below(Path(name)) == []
        forms = [raw, base64.b64encode(b"user:" + raw), raw.hex().encode(), gzip.compress(b"x" + raw)]
        for number, form in enumerate(forms):
            (home / "deep" / str(number)).write_bytes(b"before" + form if number < 3 else form)
        assert leaks_below(Path(name)) == [str(home / "deep" / str(number)) for number in range(len(forms))]
