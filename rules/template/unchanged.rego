# METADATA
# title: A published version stays as it is
# description: What a template says in one version never changes, since apps were judged by it; a change is a new version.
# custom:
#   id: TPL-004
#   severity: high
#   applies_to: [template]
#   controls: ["ISO-27001:A.8.32", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:CM-3"]
#   remediation: Publish the change as a new version of the template.
package platform.rules.template.unchanged

import data.platform.lib.template

deny contains v if {
	not template.is_unpublished
	not template.is_as_published
	v := {
		"path": ["resource", "metadata", "version"],
		"message": sprintf("The version %s of the template is published and reads differently, or nobody can say that it is not.", [
			json.marshal(object.get(input, ["resource", "metadata", "version"], "")),
		]),
	}
}
