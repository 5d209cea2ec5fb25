"""Where a rule's path lies in the document that was handed in."""

import pytest

from governance.model.pointer import resource_pointer, to_segments


@pytest.mark.parametrize(
    ("kind", "segments", "pointer"),
    [
        ("deploy", ["app", "connectors", 0, "name"], "/spec/connectors/0/name"),
        ("deploy", ["app", "name"], "/metadata/name"),
        ("template", ["app", "caps"], "/spec/caps"),
        ("deploy", ["app"], "/spec"),
        ("deploy", ["tenant"], "/spec/tenant"),
        ("connector_call", ["resource", "url"], "/url"),
        ("connector_call", ["app", "connectors", 0], ""),
        ("data_flow", ["resource", "payload", "a/b", "~"], "/payload/a~1b/~0"),
        ("deploy", ["facts", "tenant"], ""),
        ("deploy", [], ""),
    ],
)
def test_a_rules_path_becomes_a_pointer_into_the_resource(kind, segments, pointer):
    assert resource_pointer(kind, segments) == pointer


def test_text_that_is_no_pointer_is_refused():
    with pytest.raises(ValueError, match="must be empty or start with '/'"):
        to_segments("spec/x")
