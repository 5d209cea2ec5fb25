# METADATA
# title: Data that stays where it is
# description: Findings and fields of the source that may not leave in any form; whoever carries the decision out refuses the payload.
# custom:
#   type: refuse
#   applies_to: [data_flow]
package platform.obligations.refuse

import data.platform.lib.protection

oblige contains value if some value in protection.refusals
