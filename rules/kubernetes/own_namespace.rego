# METADATA
# title: Apps live in a namespace of their tenant
# description: What a cluster's door says of an app or a template counts only from a namespace that its tenant is registered with.
# custom:
#   id: KUB-010
#   severity: critical
#   applies_to: [template, deploy, lifecycle]
#   controls: ["ISO-27001:A.5.15", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: Use a namespace of the tenant, or ask the platform team to add this one to the tenant's document.
package platform.rules.kubernetes.own_namespace

import data.platform.lib.lists

# Whoever asks anywhere else names no namespace: there a key says whose they are.
deny contains v if {
	namespace := input.context.namespace
	not _is_theirs(namespace)
	v := {
		"path": ["context", "namespace"],
		"message": sprintf("The namespace %s is not one of the tenant %s.", [
			json.marshal(namespace),
			json.marshal(object.get(input, "tenant", "")),
		]),
	}
}

_is_theirs(namespace) if {
	namespace != ""
	input.tenant != ""
	input.facts.tenant.known == true
	input.facts.tenant.name == input.tenant
	namespace in lists.at(["facts", "tenant", "namespaces"])
}
