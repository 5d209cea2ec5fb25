"""Facts have one text, whichever of them were written before."""

import json

from hypothesis import given
from hypothesis import strategies as st

from governance.model.facts import Written, facts_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=3)


@given(OBJECTS, st.lists(OBJECTS, max_size=3), OBJECTS)
def test_the_text_is_the_canonical_one(alone, listed, plain):
    values = {"app": Written(alone), "connectors": [*map(Written, listed), plain], "b": plain, "é": 1.5}
    expected = {"app": alone, "connectors": [*listed, plain], "b": plain, "é": 1.5}
    assert values == expected
    assert facts_text(values) == json.dumps(
        expected, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
