# METADATA
# title: Mail goes to listed domains
# description: A connector that sends mail names the domains of its recipients; a message with a recipient elsewhere, or with none that can be read, does not leave.
# custom:
#   id: CONN-016
#   severity: high
#   applies_to: [connector_call]
#   controls: ["ISO-27001:A.5.14", "SOC2:CC6.7", "GDPR:Art.5", "NIST-SP-800-53:AC-4"]
#   remediation: Take the recipient off, or ask the connector's owner to list the domain.
package platform.rules.connectors.recipients

import data.platform.lib.destination
import data.platform.lib.lists

deny contains v if {
	_is_mail
	some i, recipient in lists.at(["resource", "body", "to"])
	not _domain(recipient) in _listed
	v := {
		"path": ["resource", "body", "to", i],
		"message": "The connector does not send mail to this recipient's domain.",
	}
}

# A message that goes to nobody the policy can read might go to anybody.
deny contains v if {
	_is_mail
	count(lists.at(["resource", "body", "to"])) == 0
	v := {"path": ["resource", "body", "to"], "message": "The message names no recipient in the list `to`."}
}

_is_mail if {
	input.kind == "connector_call"
	some c in destination.entries
	c.recipients != null
}

_listed contains domain if {
	some c in destination.entries
	some domain in lists.of(c, "recipients")
	is_string(domain)
}

# Empty, which is no domain, for what is not one plain address.
_domain(recipient) := domain if {
	is_string(recipient)
	parts := split(recipient, "@")
	count(parts) == 2
	domain := lower(parts[1])
} else := ""
