# METADATA
# title: New connectors wait for their owner and compliance
# description: A connector has no effect until its owner and somebody of compliance, two people, have approved its document as it is registered; a changed document has to be approved again.
# custom:
#   id: CONN-017
#   severity: high
#   applies_to: [template, deploy, connector_call, data_flow, consent]
#   controls: ["ISO-27001:A.5.19", "ISO-27001:A.5.3", "SOC2:CC9.2", "GDPR:Art.28", "NIST-SP-800-53:SA-9", "NIST-SP-800-53:AC-5"]
#   remediation: "Ask them to read the connector and to approve it: governance connector approve NAME --as owner, then --as compliance."
package platform.rules.connectors.agreed

import data.platform.lib.agreement
import data.platform.lib.lists
import data.platform.lib.registry

deny contains v if {
	some used in _used
	some known in lists.at(["facts", "connectors"])
	is_object(known)
	lists.text_of(known, "name") == used.name
	lists.text_of(known, "state") != "unknown"
	not used.name in agreement.agreed
	v := {
		"path": used.path,
		"message": sprintf("The connector %s is registered, but not approved%s: %s.", [json.marshal(used.name), _as_it_was(known), _who(known)]),
		"details": {"digest": lists.text_of(known, "digest")},
	}
}

_used contains used if some used in registry.requested

# A source goes by a connector's document without the flow asking for it.
_used contains {"name": input.resource.source, "path": ["resource", "source"]} if {
	input.kind == "data_flow"
	some known in lists.at(["facts", "connectors"])
	lists.text_of(known, "name") == input.resource.source
}

_as_it_was(known) := " any longer" if object.get(lists.as_object(known), "withdrawn", []) != []

else := " in its present form" if object.get(lists.as_object(known), "approved_before", false) == true

else := ""

_who(known) := sprintf("it waits for %s", [concat(" and ", missing)]) if {
	missing := [words | some part in ["owner", "compliance"]; _is_missing(known, part); words := _words[part]]
	missing != []
}

else := "its owner and compliance have to be two people"

# A document that comes with the pack misses only what was taken back of it.
_is_missing(known, part) if {
	known.name in agreement.shipped
	part in lists.of(known, "withdrawn")
}

_is_missing(known, part) if {
	not known.name in agreement.shipped
	not part in {given | some [of, given, _] in agreement.approvers; of == known.name}
}

_words := {"owner": "its owner", "compliance": "compliance"}
