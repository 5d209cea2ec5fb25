# Which objects an imported Gatekeeper constraint looks at, and the review that its template sees.
#
# A constraint's `match` arrives whole: `governance rules import-gatekeeper` fills in what its author left out and refuses
# what stands in no version of the format. Semantics: Gatekeeper's pkg/mutation/match and pkg/target. Where an object could
# be meant, it is: only what is known not to match is left alone.
package gatekeeper.match

import rego.v1

review := object.union_n([
	{
		"kind": _kind_of(input.resource),
		"name": _name,
		"namespace": _namespace,
		"object": input.resource,
		"operation": _operation,
		"userInfo": _user,
		"subResource": _context("sub_resource", ""),
		"dryRun": object.get(input, "dry_run", false),
	},
	_old,
	_living_in,
])

# Whether a template has to be asked.
selects(match) if {
	some candidate in _candidates
	_meets(match, candidate)
	_namespace_meets(match.namespaceSelector, candidate)
}

# Whether that cannot be said, for want of the namespace's labels. The caller makes a violation of it.
cannot_say(match) if {
	some candidate in _candidates
	_meets(match, candidate)
	match.namespaceSelector != null
	not _is_namespace(candidate)
	_namespace != ""
	not _has_labels
}

namespace_name := _namespace

# What is stored and what was stored before: a change must not slip out of a constraint by dropping a label.
_candidates contains input.resource

_candidates contains _old.oldObject

_old := {"oldObject": old} if {
	old := _context("old_object", null)
	is_object(old)
} else := {}

_living_in := {"_unstable": {"namespace": _namespace_object}} if {
	_has_labels
} else := {}

_meets(match, candidate) if {
	_kind_meets(match.kinds, candidate)
	_scope_meets(match.scope, candidate)
	_listed(match.namespaces, candidate)
	not _excluded(match.excludedNamespaces, candidate)
	_labels_meet(match.labelSelector, _labels_of(candidate))
	_name_meets(match.name, candidate)
}

_kind_meets([], _)

_kind_meets(kinds, candidate) if {
	kind := _kind_of(candidate)
	some entry in kinds
	_holds(entry.kinds, kind.kind)
	_holds(entry.apiGroups, kind.group)
}

_holds([], _)

_holds(names, name) if {
	some listed in names
	listed in {"*", name}
}

_scope_meets("*", _)

_scope_meets("Cluster", candidate) if _is_namespace(candidate)

_scope_meets("Cluster", candidate) if _namespace == ""

_scope_meets("Namespaced", candidate) if {
	not _is_namespace(candidate)
	_namespace != ""
}

# A file may leave its namespace to whoever applies it, so nothing is known about its scope.
_scope_meets("Namespaced", candidate) if {
	not _is_namespace(candidate)
	_context("namespace", null) == null
}

_listed([], _)

_listed(_, candidate) if _place(candidate) == ""

_listed(patterns, candidate) if {
	some pattern in patterns
	_glob(pattern, _place(candidate))
}

_excluded(patterns, candidate) if {
	place := _place(candidate)
	place != ""
	some pattern in patterns
	_glob(pattern, place)
}

_place(candidate) := _text(_metadata(candidate), "name") if {
	_is_namespace(candidate)
} else := _namespace

_name_meets("", _)

_name_meets(pattern, candidate) if _glob(pattern, _text(_metadata(candidate), "name"))

# The name is still to be made: whatever it could become counts.
_name_meets(pattern, candidate) if {
	_text(_metadata(candidate), "name") == ""
	_could_become(pattern, _text(_metadata(candidate), "generateName"))
}

_could_become(pattern, _) if startswith(pattern, "*")

_could_become(pattern, start) if startswith(trim_suffix(pattern, "*"), start)

_could_become(pattern, start) if {
	endswith(pattern, "*")
	startswith(start, trim_suffix(pattern, "*"))
}

_glob(pattern, text) if pattern == text

_glob(pattern, text) if {
	startswith(pattern, "*")
	not endswith(pattern, "*")
	endswith(text, trim_prefix(pattern, "*"))
}

_glob(pattern, text) if {
	endswith(pattern, "*")
	not startswith(pattern, "*")
	startswith(text, trim_suffix(pattern, "*"))
}

_glob(pattern, text) if {
	startswith(pattern, "*")
	endswith(pattern, "*")
	contains(text, trim_suffix(trim_prefix(pattern, "*"), "*"))
}

_namespace_meets(null, _)

_namespace_meets(selector, candidate) if {
	_is_namespace(candidate)
	_labels_meet(selector, _labels_of(candidate))
}

_namespace_meets(_, candidate) if {
	not _is_namespace(candidate)
	_namespace == ""
}

_namespace_meets(selector, candidate) if {
	not _is_namespace(candidate)
	_has_labels
	_labels_meet(selector, _labels_of(_namespace_object))
}

_labels_meet(null, _)

_labels_meet(selector, labels) if {
	every key, value in selector.matchLabels {
		object.get(labels, key, null) == value
	}
	every expression in selector.matchExpressions {
		_expression_holds(expression, labels)
	}
}

_expression_holds({"operator": "In", "key": key, "values": values}, labels) if object.get(labels, key, null) in values

_expression_holds({"operator": "NotIn", "key": key, "values": values}, labels) if {
	not object.get(labels, key, null) in values
}

_expression_holds({"operator": "Exists", "key": key, "values": _}, labels) if object.get(labels, key, null) != null

_expression_holds({"operator": "DoesNotExist", "key": key, "values": _}, labels) if object.get(labels, key, null) == null

# Labels come with the inventory that was imported: Namespace objects among it.
_namespace_object := object.get(data.gatekeeper.inventory, ["cluster", "v1", "Namespace", _namespace], null)

_has_labels if {
	_namespace != ""
	is_object(_namespace_object)
}

_namespace := _context("namespace", _text(_metadata(input.resource), "namespace"))

_name := named if {
	named := _context("name", "")
	named != ""
} else := _text(_metadata(input.resource), "name")

_operation := _context("operation", object.get(_operations, input.action, "CREATE"))

_operations := {"update": "UPDATE", "delete": "DELETE", "connect": "CONNECT"}

_user := {"username": _text(subject, "id"), "groups": object.get(subject, "groups", [])} if {
	subject := object.get(input, "subject", {})
}

_is_namespace(candidate) if _kind_of(candidate) == {"group": "", "version": "v1", "kind": "Namespace"}

# The object says itself what it is; for the few operations that bring none, the API server does.
_kind_of(candidate) := {"group": group, "version": version, "kind": candidate.kind} if {
	api := candidate.apiVersion
	parts := split(api, "/")
	version := parts[count(parts) - 1]
	group := trim_suffix(trim_suffix(api, version), "/")
} else := object.union({"group": "", "version": "", "kind": ""}, _context("group_kind", {}))

_labels_of(candidate) := labels if {
	labels := object.get(_metadata(candidate), "labels", {})
	is_object(labels)
} else := {}

_metadata(candidate) := found if {
	found := object.get(candidate, "metadata", {})
	is_object(found)
} else := {}

_text(owner, name) := found if {
	found := object.get(owner, name, "")
	is_string(found)
} else := ""

_context(name, otherwise) := object.get(object.get(input, "context", {}), name, otherwise)
