# METADATA
# title: Connectors are looked at again
# description: A connector of one's own that is to be reviewed soon is a finding where somebody begins to use it, and one whose day is over wherever it is used.
# custom:
#   id: CONN-018
#   severity: low
#   effect: warn
#   applies_to: [template, deploy, connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.5.22", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-9"]
#   remediation: "Its owner reads the vendor's documentation again and sets review_by to a new day; then owner and compliance approve the document."
package platform.rules.connectors.review_due

import data.platform.lib.agreement
import data.platform.lib.registry
import data.platform.lib.review

# Documents that come with the program are looked at again with a release of it; `connector list` names what is overdue.
deny contains v if {
	input.kind in {"template", "deploy", "consent"}
	some c in registry.entries
	c.name in review.due
	not c.name in agreement.shipped
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q is to be reviewed by %s.", [c.name, json.marshal(c.review_by)]),
	}
}

deny contains v if {
	some c in registry.entries
	c.name in review.overdue
	not c.name in agreement.shipped
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q was to be reviewed by %s, and has not been.", [c.name, json.marshal(c.review_by)]),
	}
}
