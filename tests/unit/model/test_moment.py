"""Ids and times that sort."""

import re
import uuid

from governance.model.moment import new_decision_id, utc_now


def test_a_decision_id_is_a_version_7_uuid_and_never_repeats():
    ids = [new_decision_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(i).version for i in ids} == {7}
    assert {uuid.UUID(i).variant for i in ids} == {uuid.RFC_4122}


def test_times_have_one_width_so_that_text_order_is_time_order():
    times = [utc_now() for _ in range(50)]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", t) for t in times)
