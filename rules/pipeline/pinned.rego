# METADATA
# title: "Actions and images are pinned"
# description: "What a workflow uses is named by its commit, and an image by its digest: a tag can be moved."
# custom:
#   id: PIPE-002
#   severity: high
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.5.19", "SLSA:L2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:SR-4"]
#   remediation: "Write owner/action@ followed by the 40 digits of the commit; leave the version in a comment."
package platform.rules.pipeline.pinned

import data.platform.lib.lists
import data.platform.lib.workflows

deny contains v if {
	some user in workflows.steps | workflows.jobs
	uses := lists.text_of(user.it, "uses")
	uses != ""
	not _is_pinned(uses)
	v := {
		"path": array.concat(user.path, ["uses"]),
		"message": sprintf("%s is not pinned by a commit.", [json.marshal(uses)]),
	}
}

deny contains v if {
	some found in _images
	not regex.match(data.platform.pipeline.pinned_image_pattern, found.image)
	v := {
		"path": found.path,
		"message": sprintf("The image %s is not pinned by a digest.", [json.marshal(found.image)]),
	}
}

_is_pinned(uses) if {
	some pattern in data.platform.pipeline.pinned_patterns
	regex.match(pattern, uses)
	not contains(uses, "..")
}

_images contains found if {
	some job in workflows.jobs
	image := lists.text_of(job.it, "container")
	image != ""
	found := {"image": image, "path": array.concat(job.path, ["container"])}
}

_images contains found if {
	some job in workflows.jobs
	owner := lists.object_of(job.it, "container")
	owner != {}
	found := {"image": lists.text_of(owner, "image"), "path": array.concat(job.path, ["container", "image"])}
}

_images contains found if {
	some job in workflows.jobs
	some name, owner in lists.object_of(job.it, "services")
	found := {"image": lists.text_of(owner, "image"), "path": array.concat(job.path, ["services", name, "image"])}
}

# An action that is an image; one that is built from a Dockerfile of the repository is held to that file's rules.
_images contains found if {
	image := lists.text_of(lists.object_of(object.get(input, "resource", {}), "runs"), "image")
	startswith(lower(image), "docker://")
	found := {"image": substring(image, count("docker://"), -1), "path": ["resource", "runs", "image"]}
}
