# Jobs and steps of a workflow or of an action, each with where it stands. What is of the wrong type is empty here; PIPE-001
# refuses it with its place.
package platform.lib.workflows

import data.platform.lib.lists

_resource := object.get(input, "resource", {})

jobs contains job if {
	some id, it in lists.object_of(_resource, "jobs")
	job := {"path": ["resource", "jobs", id], "it": it}
}

steps contains step if {
	some job in jobs
	some i, it in lists.of(job.it, "steps")
	step := {"path": array.concat(job.path, ["steps", i]), "it": it}
}

steps contains step if {
	some i, it in lists.of(lists.object_of(_resource, "runs"), "steps")
	step := {"path": ["resource", "runs", "steps", i], "it": it}
}

# `on` is one word, a list of words, or an object by word.
triggers contains name if {
	name := lists.text_of(_resource, "on")
	name != ""
}

triggers contains name if some name in lists.of(_resource, "on")

triggers contains name if some name, _ in lists.object_of(_resource, "on")
