# The pod that a Kubernetes object is, or is the template of. What is not there, or is of another type than Kubernetes
# wants, is empty here: PSS-001 refuses the latter with its place, and every other rule still has its say.
package platform.lib.pods

import data.platform.lib.lists

kind := lists.text_of(object.get(input, "resource", {}), "kind")

# Whether the request writes the pod of a workload. Deleting one, or connecting to it, changes nothing of it.
is_written if {
	kind in object.keys(data.platform.pods.kept_at)
	is_writing
}

is_writing if {
	without_pod := data.platform.pods.writes[input.action]
	not object.get(input, ["context", "sub_resource"], "") in without_pod
}

holder_path := array.concat(["resource"], object.get(data.platform.pods.kept_at, kind, []))

holder := object.get(input, holder_path, null)

spec_path := array.concat(holder_path, ["spec"])

metadata_path := array.concat(holder_path, ["metadata"])

spec := lists.object_of(holder, "spec")

metadata := lists.object_of(holder, "metadata")

annotations := lists.object_of(metadata, "annotations")

# Whether the pod gets a user namespace of its own.
is_in_user_namespace if spec.hostUsers == false

is_for_windows if spec.os.name == "windows"

# Containers of every sort, each with where it stands, what to call it, and its security context.
containers := [c |
	some list in data.platform.pods.container_lists
	some i, item in lists.of(spec, list)
	it := lists.as_object(item)
	name := lists.text_of(it, "name")
	c := {
		"sort": list,
		"path": array.concat(spec_path, [list, i]),
		"name": name,
		"who": concat(" ", ["container", json.marshal(name)]),
		"it": it,
		"security": lists.object_of(it, "securityContext"),
	}
]

volumes := [volume |
	some i, item in lists.of(spec, "volumes")
	volume := {
		"path": array.concat(spec_path, ["volumes", i]),
		"name": lists.text_of(item, "name"),
		"it": lists.as_object(item),
	}
]

# Images with where each is named and of what: a volume may be one as well, and a container runs what lies there.
images := array.concat(
	[image |
		some c in containers
		image := {"path": array.concat(c.path, ["image"]), "who": c.who, "text": lists.text_of(c.it, "image")}
	],
	[image |
		some volume in volumes
		"image" in object.keys(volume.it)
		volume.it.image != null
		image := {
			"path": array.concat(volume.path, ["image", "reference"]),
			"who": concat(" ", ["volume", json.marshal(volume.name)]),
			"text": lists.text_of(lists.object_of(volume.it, "image"), "reference"),
		}
	],
)

# What has a security context: the pod itself and its containers.
secured := array.concat(
	[{"path": spec_path, "name": "", "who": "pod", "it": spec, "security": lists.object_of(spec, "securityContext")}],
	containers,
)
