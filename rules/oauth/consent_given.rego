# METADATA
# title: Who acts for a person has their consent
# description: A call to a connector that holds a person's own data, and its answer, stands on their consent to this app, for these scopes and this purpose, that is neither withdrawn nor over.
# custom:
#   id: OAUTH-007
#   severity: critical
#   applies_to: [connector_call, data_flow]
#   controls: ["GDPR:Art.7", "SOC2:P3.2", "ISO-27001:A.5.34", "NIST-SP-800-53:PT-4"]
#   remediation: "Ask the person again: /v1/oauth/{connector}/authorize; name the consent they give in the call."
package platform.rules.oauth.consent_given

import data.platform.lib.answer
import data.platform.lib.instants
import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	_is_needed
	some problem in _problems
	v := {"path": _place, "message": problem}
}

deny contains v if {
	_is_needed
	some j, scope in lists.at(["resource", "scopes"])
	not scope in lists.of(_consent, "scopes")
	v := {
		"path": ["resource", "scopes", j],
		"message": sprintf("The person did not consent to the scope %s.", [json.marshal(scope)]),
	}
}

# A connector that nobody knows to act for itself acts for a person; a consent that is named has to hold in any case.
_is_needed if {
	input.kind == "connector_call"
	not _connector in _acts_for_itself
}

_is_needed if "consent" in object.keys(lists.object_of(input, _place[0]))

# An answer says on which consent its call stood: a stream may still run when that has ended.
_place := ["context", "consent"] if answer.is_answer

else := ["resource", "consent"]

_connector := object.get(input, ["resource", "source"], "") if answer.is_answer

else := object.get(input, ["resource", "connector"], "")

_acts_for_itself contains c.name if {
	some c in registry.entries
	c.acts_for_person == false
}

_consent := lists.as_object(object.get(input, ["facts", "consent"], {}))

_problems contains "No consent of a person is known for this call." if not _is_known

_problems contains "The consent was given to another app, tenant or connector." if {
	_is_known
	[_consent.app, _consent.tenant, _consent.connector] != [input.app.name, input.tenant, _connector]
}

_problems contains "The consent is not in force: it was withdrawn, or never completed." if {
	_is_known
	lists.text_of(_consent, "state") != "given"
}

_problems contains "The consent is over." if {
	_is_known
	not instants.is_ahead(lists.text_of(_consent, "expires_at"))
}

_problems contains "The app uses the data for another purpose than the person consented to." if {
	_is_known
	not [_connector, lists.text_of(_consent, "purpose")] in {[c.name, c.purpose] | some c in manifest.connectors}
}

_is_known if {
	_consent.known == true
	count({"app", "tenant", "connector"} - object.keys(_consent)) == 0
	_consent.id == object.get(input, _place, null)
}
