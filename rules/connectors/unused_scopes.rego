# METADATA
# title: Scopes that nobody uses are given back
# description: A scope that an app has had for longer than the period and that none of its calls used within it is asked for in vain.
# custom:
#   id: CONN-014
#   severity: low
#   effect: warn
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.18", "SOC2:CC6.3", "GDPR:Art.25", "NIST-SP-800-53:AC-6"]
#   remediation: Take the scope out of the manifest; it can be asked for again when the app needs it.
package platform.rules.connectors.unused_scopes

import data.platform.lib.instants
import data.platform.lib.lists
import data.platform.lib.manifest

deny contains v if {
	_is_old(lists.text_of(object.get(input, ["facts", "scope_use"], {}), "looked_since"))
	some asked in manifest.scopes
	some known in lists.at(["facts", "scope_use", "scopes"])
	known.connector == asked.connector
	known.scope == asked.scope
	_is_old(known.asked_since)
	not _is_recent(known.last_used)
	v := {
		"path": asked.path,
		"message": sprintf("The app has not used the scope %s of the connector %s for %d days.", [
			json.marshal(asked.scope), json.marshal(asked.connector), data.platform.scopes.unused_days,
		]),
	}
}

_is_old(moment) if _age_days(moment) >= data.platform.scopes.unused_days

_is_recent(moment) if _age_days(moment) < data.platform.scopes.unused_days

_age_days(moment) := (instants.nanoseconds(input.now) - instants.nanoseconds(moment)) / 86400000000000
