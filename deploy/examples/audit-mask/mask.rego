# Masks of what is recorded, as OPA reads them: GOVERNANCE_EXTRA_BUNDLES=deploy/examples/audit-mask serves them beside our rules.
# Input is the record as it would be stored: input.input is the request, input.result the answer, input.labels say whose it is.
package system.log

# A pointer removes the value it points at.
mask contains "/input/context/phone"

# An operation can put something else there.
mask contains {"op": "upsert", "path": "/input/resource/body/salary", "value": "[salary]"} if {
	input.labels.kind == "connector_call"
	input.input.resource.connector == "hr-directory"
}

# One pointer for each of many: a list may have any length.
mask contains sprintf("/input/resource/payload/guests/%d/diet", [i]) if {
	some i, _ in input.input.resource.payload.guests
}

# Of some things nothing but the fact that they were asked is kept.
drop if input.labels.app == "whistleblowing"
