# METADATA
# title: Events are signed with secrets of the app
# description: What a connector or a person's consent stands on lies among the tenant's secrets as well; no app signs, verifies or signs in with it.
# custom:
#   id: EVT-008
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.5.17", "SOC2:CC6.1", "GDPR:Art.32", "NIST-SP-800-53:IA-5"]
#   remediation: Store a secret for the app, and name that one.
package platform.rules.events.own_secrets

import data.platform.lib.lists

deny contains v if {
	some used in _named
	some beginning in data.platform.events.secrets_of_others
	startswith(used.name, beginning)
	v := {
		"path": used.path,
		"message": sprintf("The secret %s belongs to a connector or to a person's consent, not to the app.", [json.marshal(used.name)]),
	}
}

_named contains {"name": name, "path": ["app", "events", "webhooks", i, "signedWith"]} if {
	some i, hook in lists.at(["app", "events", "webhooks"])
	name := lists.text_of(hook, "signedWith")
}

_named contains {"name": name, "path": ["app", "events", "subscribes", i, "deliver", member]} if {
	some i, wanted in lists.at(["app", "events", "subscribes"])
	some member in ["signedWith", "certificate"]
	name := lists.text_of(lists.object_of(wanted, "deliver"), member)
}
