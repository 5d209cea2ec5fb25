# METADATA
# title: Personal data to leave out
# description: Findings in a flow that are removed with their members.
# custom:
#   type: drop
#   applies_to: [data_flow]
package platform.obligations.drop

import data.platform.lib.protection

oblige contains step.value if {
	some step in protection.steps
	step.method == "drop"
}
