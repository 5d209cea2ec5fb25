# METADATA
# title: Connectors meet only where they may
# description: The connectors of one app are few enough for its business area, and every policy on combinations has them in one group.
# custom:
#   id: CONN-015
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.12", "SOC2:CC6.7", "GDPR:Art.25", "NIST-SP-800-53:AC-4"]
#   remediation: Make two apps of it, or ask compliance to put both connectors into one group.
package platform.rules.connectors.combination

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

# What is not registered is refused for that already.
deny contains v if {
	some policy in _policies
	some c in _registered
	some other in _registered
	other.index < c.index
	other.name != c.name
	not _share_group(policy, c.name, other.name)
	v := {
		"path": ["app", "connectors", c.index, "name"],
		"message": sprintf("The policy %q does not let the connectors %s and %s meet in one app.", [
			policy.name, json.marshal(other.name), json.marshal(c.name),
		]),
	}
}

deny contains v if {
	count(manifest.connectors) > _most
	v := {
		"path": ["app", "connectors"],
		"message": sprintf("The app has %d connectors; its business area gives one app %d.", [count(manifest.connectors), _most]),
	}
}

_area := lists.text_of(object.get(input, ["facts", "tenant"], {}), "business_area")

_most := object.get(data.platform.combinations.most, _area, data.platform.combinations.most["*"])

_policies contains policy if {
	some policy in data.platform.combinations.policies
	some area in policy.areas
	area in {"*", _area}
}

_registered contains c if {
	some c in manifest.connectors
	c.name in registry.usable
}

_share_group(policy, one, other) if {
	some _, group in policy.groups
	one in group
	other in group
}
