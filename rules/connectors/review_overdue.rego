# METADATA
# title: Nobody begins to use a connector that was not looked at again
# description: Once the day of review of a document of one's own is over, no template, deploy or consent may name the connector; calls of what runs already go on, as findings.
# custom:
#   id: CONN-019
#   severity: medium
#   applies_to: [template, deploy, consent]
#   controls: ["ISO-27001:A.5.22", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-9"]
#   remediation: "Its owner reads the vendor's documentation again and sets review_by to a new day; then owner and compliance approve the document."
package platform.rules.connectors.review_overdue

import data.platform.lib.agreement
import data.platform.lib.registry
import data.platform.lib.review

# Documents that come with the program are reviewed with a release of it: nobody here could.
deny contains v if {
	some c in registry.entries
	c.name in review.overdue
	not c.name in agreement.shipped
	some used in registry.requested
	used.name == c.name
	v := {
		"path": used.path,
		"message": sprintf("The connector %q was to be reviewed by %s; until it has been, nobody begins to use it.", [c.name, json.marshal(c.review_by)]),
	}
}
