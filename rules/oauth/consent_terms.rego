# METADATA
# title: A consent says what it is for, and ends
# description: A person is asked for named scopes and the purpose that the app's manifest states, for a time that the platform allows, and only where a connector acts for a person.
# custom:
#   id: OAUTH-008
#   severity: high
#   applies_to: [consent]
#   controls: ["GDPR:Art.7", "SOC2:P2.1", "ISO-27001:A.5.34", "NIST-SP-800-53:PT-4"]
#   remediation: Ask with the scopes and the purpose of the manifest as it is deployed now.
package platform.rules.oauth.consent_terms

import data.platform.lib.instants
import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	count(lists.at(["resource", "scopes"])) == 0
	v := {"path": ["resource", "scopes"], "message": "A consent to nothing named would be one to everything."}
}

deny contains v if {
	purpose := object.get(input, ["resource", "purpose"], "")
	not [_connector, purpose] in {[c.name, c.purpose] | some c in manifest.connectors}
	v := {"path": ["resource", "purpose"], "message": "This is not the purpose that the app was deployed with."}
}

deny contains v if {
	not _ends_in_time
	v := {
		"path": ["resource", "expires_at"],
		"message": sprintf("A consent ends after %d days at the latest.", [data.platform.consents.longest_days]),
	}
}

deny contains v if {
	not _connector in {c.name | some c in registry.entries; c.acts_for_person == true}
	v := {"path": ["resource", "connector"], "message": "This connector does not act for a person, so there is nothing to consent to."}
}

_connector := object.get(input, ["resource", "connector"], "")

_ends_in_time if {
	expires_at := object.get(input, ["resource", "expires_at"], "")
	instants.is_ahead(expires_at)
	lasts := instants.nanoseconds(expires_at) - instants.nanoseconds(input.now)
	lasts <= ((data.platform.consents.longest_days * 24) * 3600) * 1000000000
}
