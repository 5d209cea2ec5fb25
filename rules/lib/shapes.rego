# The parts of a pod whose members have to be of a type, each with what it is called in the tables of types.
package platform.lib.shapes

import data.platform.lib.lists
import data.platform.lib.pods

# As deep as anything lies that a rule reads: the handler in a hook in the life of a container.
parts := array.concat(array.concat(_outer, _first), array.concat(_second, _third))

_first := _inside(_outer)

_second := _inside(_first)

_third := _inside(_second)

_outer := array.concat(array.concat(_pod, _containers), array.concat(_security, _listed))

_pod := [
	{"sort": "holder", "path": pods.holder_path, "value": lists.as_object(pods.holder)},
	{"sort": "metadata", "path": pods.metadata_path, "value": pods.metadata},
	{"sort": "spec", "path": pods.spec_path, "value": pods.spec},
]

_containers := [{"sort": "container", "path": c.path, "value": c.it} | some c in pods.containers]

_security := [part |
	some s in pods.secured
	part := {"sort": "security", "path": array.concat(s.path, ["securityContext"]), "value": s.security}
]

_listed := array.concat(
	array.concat(
		[{"sort": "volume", "path": volume.path, "value": volume.it} | some volume in pods.volumes],
		[part |
			some i, item in lists.of(lists.object_of(pods.spec, "securityContext"), "sysctls")
			path := array.concat(pods.spec_path, ["securityContext", "sysctls", i])
			part := {"sort": "sysctl", "path": path, "value": lists.as_object(item)}
		],
	),
	[part |
		some c in pods.containers
		some i, item in lists.of(c.it, "ports")
		part := {"sort": "port", "path": array.concat(c.path, ["ports", i]), "value": lists.as_object(item)}
	],
)

# Members of these parts that are objects.
_inside(outer) := [part |
	some around in outer
	known := _members[around.sort]
	some name, value in around.value
	is_object(value)
	sort := known[name]
	part := {"sort": sort, "path": array.concat(around.path, [name]), "value": value}
]

# A name of its own: the engine looks up a path below data anew each time.
_members := data.platform.pods.inside
