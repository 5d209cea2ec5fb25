# METADATA
# title: What runs is what was reviewed
# description: An app that starts from a module names its file and SHA-256, so that one changed byte stops it.
# custom:
#   id: RUN-003
#   severity: critical
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "SLSA:L2", "GDPR:Art.32", "NIST-SP-800-53:SI-7"]
#   remediation: Let the pipeline write runtime.module.sha256; it is the checksum of the built module.
package platform.rules.runtime.module_checksum

deny contains v if {
	input.app.runtime.class in data.platform.runtime.from_module
	checksum := object.get(input, ["app", "runtime", "module", "sha256"], "")
	not _is_checksum(checksum)
	v := {
		"path": ["app", "runtime", "module", "sha256"],
		"message": "The module has no SHA-256 checksum of 64 hexadecimal digits.",
	}
}

deny contains v if {
	input.app.runtime.class in data.platform.runtime.from_module
	path := object.get(input, ["app", "runtime", "module", "path"], "")
	not _is_inside(path)
	v := {
		"path": ["app", "runtime", "module", "path"],
		"message": sprintf("The module path %s is not a file inside the app's repository.", [json.marshal(path)]),
	}
}

_is_checksum(text) if {
	is_string(text)
	regex.match(`^[0-9a-f]{64}$`, text)
}

_is_inside(path) if {
	is_string(path)
	regex.match(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`, path)
	not contains(path, "..")
}
