# METADATA
# title: Tokens go back to approved vendors only
# description: A vendor is told that a consent has ended, and shown the token, only at the addresses of a document that is approved as it is registered now.
# custom:
#   id: OAUTH-009
#   severity: critical
#   applies_to: [revocation]
#   controls: ["GDPR:Art.7", "SOC2:CC9.2", "ISO-27001:A.5.19", "NIST-SP-800-53:AC-3"]
#   remediation: "The consent has ended here in any case: have the document approved for the next one, and end this one at the vendor."
package platform.rules.oauth.handed_back

import data.platform.lib.agreement

deny contains v if {
	object.get(input, "action", "") != "withdraw"
	connector := object.get(input, ["resource", "connector"], "")
	not connector in agreement.agreed
	v := {
		"path": ["resource", "connector"],
		"message": sprintf("The connector %s is not approved in its present form, so its addresses are sent no token.", [json.marshal(connector)]),
	}
}
