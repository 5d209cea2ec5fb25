# METADATA
# title: No template brings anybody to a connector on its way out
# description: From the day on which a connector is deprecated no template that names it is published; apps that use it have until it retires.
# custom:
#   id: CONN-020
#   severity: medium
#   applies_to: [template]
#   controls: ["ISO-27001:A.5.23", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-22"]
#   remediation: Name the connector that replaces it; the catalog says which one that is.
package platform.rules.connectors.deprecated_template

import data.platform.lib.registry

deny contains v if {
	some c in registry.entries
	c.state == "deprecated"
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q is deprecated, so no template brings new apps to it.%s", [c.name, _advice(c)]),
	}
}

_advice(c) := sprintf(" Use %q instead.", [c.replaced_by]) if c.replaced_by != ""

else := ""
