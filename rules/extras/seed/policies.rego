# A policy as somebody may already have it: plain Rego in the older syntax (v0), with data of its own and no METADATA.
# It serves beside the rule pack and answers unchanged under /v1/data/platform/policies.
package platform.policies

import data.approved_connectors

# Whoever sets `default` answers also where nothing is asked.
default allow = false

allow {
	count(deny) == 0
	input.app.name
}

deny[msg] {
	connector := input.app.connectors[_].name
	not approved(connector)
	msg := sprintf("Connector %v is not approved", [connector])
}

deny[msg] {
	input.app.connectors[i]
	not input.app.connectors[i].name
	msg := sprintf("Connector %v has no name", [i])
}

deny[msg] {
	not input.app.costCenter
	msg := "A cost center is required"
}

deny[msg] {
	input.app.runtime.caps.memoryMiB > data.memory_limit_mib
	msg := sprintf("Memory cap %v MiB is above %v MiB", [input.app.runtime.caps.memoryMiB, data.memory_limit_mib])
}

approved(name) {
	approved_connectors[_] == name
}
