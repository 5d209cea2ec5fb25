# METADATA
# title: Personal data to replace by tokens
# description: Findings in a flow that the destination may refer to but not read; who holds the key can turn them back.
# custom:
#   type: tokenize
#   applies_to: [data_flow]
package platform.obligations.tokenize

import data.platform.lib.protection

oblige contains step.value if {
	some step in protection.steps
	step.method == "tokenize"
}
