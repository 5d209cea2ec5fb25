# METADATA
# title: What runs is what was reviewed
# description: An app that starts from a module names its file and SHA-256, so that one changed byte stops it; a file that an image comes in has the image's digest.
# custom:
#   id: RUN-003
#   severity: critical
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "SLSA:L2", "GDPR:Art.32", "NIST-SP-800-53:SI-7"]
#   remediation: Let the pipeline write runtime.module.sha256; it is the checksum of the built module, or the digest that the image is pinned by.
package platform.rules.runtime.module_checksum

import data.platform.lib.artifact

deny contains v if {
	_class in data.platform.runtime.from_module
	checksum := object.get(_module, "sha256", "")
	not artifact.is_checksum(checksum)
	v := {
		"path": ["app", "runtime", "module", "sha256"],
		"message": "The module has no SHA-256 checksum of 64 hexadecimal digits.",
	}
}

# What a host has of an image is a file as well, and it starts that.
deny contains v if {
	_class in data.platform.runtime.from_image
	"sha256" in object.keys(_module)
	checksum := _module.sha256
	not checksum in _image_digests
	v := {
		"path": ["app", "runtime", "module", "sha256"],
		"message": sprintf("The checksum %s is not the digest that the image is pinned by.", [json.marshal(checksum)]),
	}
}

deny contains v if {
	_class in data.platform.runtime.from_module
	v := _outside(object.get(_module, "path", ""))
}

deny contains v if {
	"path" in object.keys(_module)
	v := _outside(_module.path)
}

deny contains v if {
	module := object.get(input, ["app", "runtime", "module"], {})
	not is_object(module)
	v := {
		"path": ["app", "runtime", "module"],
		"message": "The module is not described by a path and a checksum.",
	}
}

_class := object.get(input, ["app", "runtime", "class"], "")

# What is no object has neither path nor checksum.
_module := module if {
	module := object.get(input, ["app", "runtime", "module"], {})
	is_object(module)
} else := {}

_image_digests contains artifact.image_digest

_outside(path) := v if {
	not _is_inside(path)
	v := {
		"path": ["app", "runtime", "module", "path"],
		"message": sprintf("The module path %s is not a file inside the app's repository.", [json.marshal(path)]),
	}
}

_is_inside(path) if {
	is_string(path)
	regex.match(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`, path)
	not contains(path, "..")
}
