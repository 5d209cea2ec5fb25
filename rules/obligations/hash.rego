# METADATA
# title: Personal data to replace by digests
# description: Findings in a flow that the destination may compare but not read; nobody can turn them back.
# custom:
#   type: hash
#   applies_to: [data_flow]
package platform.obligations.hash

import data.platform.lib.protection

oblige contains step.value if {
	some step in protection.steps
	step.method == "hash"
}
