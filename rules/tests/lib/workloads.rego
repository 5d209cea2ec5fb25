# Questions about a pod: the good one with changes, below a profile and version of the Pod Security Standards.
package tests.lib.workloads

import data.tests.lib.requests

# `changes`: what is put where, by JSON pointers into the pod's spec.
asked(profile, version, changes) := object.union(changed(changes), {"context": {"profile": profile, "pss_version": version}})

# The same without a word about profiles.
changed(changes) := json.patch(requests.workload, [step |
	some pointer, value in changes
	step := {"op": "add", "path": concat("", ["/resource/spec", pointer]), "value": value}
])

# The same with annotations.
annotated(profile, version, annotations) := json.patch(
	asked(profile, version, {}),
	[{"op": "add", "path": "/resource/metadata/annotations", "value": annotations}],
)

# The pod as an object of another kind keeps it, at these members.
within(request, kind, place) := json.patch(request, [
	{"op": "add", "path": "/resource", "value": {"apiVersion": "apps/v1", "kind": kind, "metadata": request.resource.metadata}},
	{"op": "add", "path": "/resource/spec", "value": _nested(place, {"metadata": request.resource.metadata, "spec": request.resource.spec})},
])

_nested(place, pod) := {place[0]: pod} if {
	count(place) == 1
} else := {place[0]: {place[1]: {place[2]: pod}}}

# Where something in the spec of a pod stands.
in_spec(segments) := array.concat(["resource", "spec"], segments)
