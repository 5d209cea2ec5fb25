# METADATA
# title: "Strangers' code never runs with our secrets"
# description: "A workflow that a trigger such as pull_request_target starts does not fetch what the pull request proposes."
# custom:
#   id: PIPE-004
#   severity: critical
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.8.31", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:AC-3"]
#   remediation: "Use the trigger pull_request, which has no secrets, and hand results over as an artifact."
package platform.rules.pipeline.untrusted_checkout

import data.platform.lib.lists
import data.platform.lib.workflows

deny contains v if {
	_is_privileged
	some step in workflows.steps
	_fetches_head(step.it)
	v := {
		"path": step.path,
		"message": "This fetches what somebody outside proposes, in a run that has the repository's secrets.",
	}
}

_is_privileged if {
	some trigger in workflows.triggers
	trigger in data.platform.pipeline.privileged_triggers
}

# An action is handed the proposal.
_fetches_head(step) if {
	lists.text_of(step, "uses") != ""
	regex.match(data.platform.pipeline.head_pattern, lower(json.marshal(lists.object_of(step, "with"))))
}

# A command fetches it, by a name of its own or through a variable.
_fetches_head(step) if {
	regex.match(data.platform.pipeline.checkout_command_pattern, lists.text_of(step, "run"))
	regex.match(data.platform.pipeline.head_pattern, lower(json.marshal(step)))
}

_fetches_head(step) if regex.match(data.platform.pipeline.pr_checkout_pattern, lists.text_of(step, "run"))
