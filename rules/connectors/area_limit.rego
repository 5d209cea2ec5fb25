# METADATA
# title: Daily requests stay within the business area's limit
# description: An app may plan no more requests a day than each of its connectors grants to the app's business area.
# custom:
#   id: CONN-005
#   severity: medium
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.6", "SOC2:A1.1", "GDPR:Art.28", "NIST-SP-800-53:SC-6"]
#   remediation: Lower quotas.requestsPerDay, or ask the connector's owner for a higher limit.
package platform.rules.connectors.area_limit

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	planned := object.get(input, ["app", "quotas", "requestsPerDay"], null)
	some [name, limit] in _limits
	not _is_within(planned, limit)
	v := {
		"path": ["app", "quotas", "requestsPerDay"],
		"message": sprintf("The connector %q grants this business area %s requests a day; the app plans %s.", [
			name, json.marshal(limit), json.marshal(planned),
		]),
		"fix": [{"op": "add", "path": ["app", "quotas", "requestsPerDay"], "value": limit}],
	}
}

# A connector that grants this business area nothing cannot be used by it.
deny contains v if {
	some c in manifest.connectors
	not c.name in {name | some [name, _] in _limits}
	v := {
		"path": ["app", "connectors", c.index, "name"],
		"message": sprintf("The connector %s grants this business area no requests.", [json.marshal(c.name)]),
	}
}

_area := lists.text_of(object.get(input, ["facts", "tenant"], {}), "business_area")

_limits contains [c.name, limit] if {
	some c in registry.entries
	limit := object.get(c.limits, _area, object.get(c.limits, "*", 0))
	is_number(limit)
	limit > 0
}

_is_within(planned, limit) if {
	is_number(planned)
	planned >= 0
	planned <= limit
}
