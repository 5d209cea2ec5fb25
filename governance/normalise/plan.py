"""A Terraform plan (`terraform show -json`) without what no rule needs: prior state, and values that are marked sensitive.

Places stay where they were, so that a pointer into the trimmed plan is one into the file. Source: developer.hashicorp.com,
"JSON output format", format version 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.model.request import Json

HIDDEN = "(sensitive)"
_TOP = ("format_version", "terraform_version", "errored", "complete", "applyable")
_CHANGE = ("address", "mode", "type", "name", "provider_name")


def trimmed(plan: dict[str, Json]) -> dict[str, Json]:
    """Resource changes, variables and provider settings; a member of another shape than the format's stays as it is."""
    kept = {name: plan[name] for name in _TOP if name in plan}
    if "resource_changes" in plan:
        changes = plan["resource_changes"]
        kept["resource_changes"] = [_change(c) for c in changes] if isinstance(changes, list) else changes
    configuration = plan.get("configuration")
    if isinstance(configuration, dict) and "provider_config" in configuration:
        kept["configuration"] = {"provider_config": configuration["provider_config"]}
    if "variables" in plan:
        kept["variables"] = _without_sensitive(plan["variables"], configuration)
    return kept


def _change(entry: Json) -> Json:
    if not isinstance(entry, dict):
        return entry
    kept = {name: entry[name] for name in _CHANGE if name in entry}
    change = entry.get("change")
    if not isinstance(change, dict):
        return {**kept, "change": change}
    return {
        **kept,
        "change": {
            "actions": change.get("actions"),
            "after": _redacted(change.get("after"), change.get("after_sensitive")),
            "after_unknown": change.get("after_unknown", {}),
        },
    }


def _redacted(value: Json, mask: Json) -> Json:
    """`value` with every place hidden where the mask, which has its shape, says true."""
    if mask is True:
        return None if value is None else HIDDEN
    if isinstance(value, dict) and isinstance(mask, dict):
        return {key: _redacted(item, mask.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(mask, list):
        return [_redacted(item, mask[i] if i < len(mask) else None) for i, item in enumerate(value)]
    return value


def _without_sensitive(variables: Json, configuration: Json) -> Json:
    """Variables that the root module declares sensitive come without their value."""
    root = configuration.get("root_module") if isinstance(configuration, dict) else None
    declared = root.get("variables") if isinstance(root, dict) else None
    if not isinstance(variables, dict) or not isinstance(declared, dict):
        return variables
    hidden = {n for n, about in declared.items() if isinstance(about, dict) and about.get("sensitive") is True}
    return {name: {"value": HIDDEN} if name in hidden else value for name, value in variables.items()}
