# METADATA
# title: Personal data to make coarser
# description: Findings in a flow of which the destination gets the year, the region or the decade; and what identifies only together.
# custom:
#   type: generalize
#   applies_to: [data_flow]
package platform.obligations.generalize

import data.platform.lib.protection

oblige contains step.value if {
	some step in protection.steps
	step.method == "generalize"
}
