"""A credential is known again in every form that an answer gives it by itself."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from governance.platform.broker.echoes import repeats

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
AROUND = st.binary(max_size=7)


@given(SECRETS, AROUND, AROUND)
def test_every_form_is_found_wherever_it_stands(secret, before, after):
    raw = before + secret.encode() + after
    forms = [
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper(),
        quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower(),
    ]  # fmt: skip
    for form in forms:
        assert repeats({"deep": [f"said {form}."]}, [secret])
        assert repeats({form: 1}, [secret])
    assert repeats(secret, [secret])


@given(SECRETS, st.recursive(st.none() | st.integers() | st.text("xyz", max_size=9), st.lists, max_leaves=5))
def test_what_does_not_hold_it_passes(secret, value):
    assert not repeats(value, ["canary-" + secret])
    assert not repeats(value, ["short"])
