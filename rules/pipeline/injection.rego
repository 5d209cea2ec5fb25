# METADATA
# title: "Text of strangers is no command"
# description: "No script holds an expression that puts a member of the event, which somebody outside writes, into its words."
# custom:
#   id: PIPE-005
#   severity: critical
#   applies_to: [pipeline]
#   controls: ["ISO-27001:A.8.28", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SI-10"]
#   remediation: "Put the value into env and read the variable, in quotes."
package platform.rules.pipeline.injection

import data.platform.lib.lists
import data.platform.lib.workflows

deny contains v if {
	some script in _scripts
	some expression in regex.find_n(`\$\{\{(?:[^}]|\}[^}])*\}\}`, script.text, -1)
	some member in _members(expression)
	not _is_trusted(member)
	v := {
		"path": script.path,
		"message": sprintf("The value of %s, which somebody outside may have written, becomes part of this script.", [member]),
	}
}

_scripts contains script if {
	some step in workflows.steps
	some place in [["run"], ["with", "script"]]
	is_object(step.it)
	text := object.get(step.it, place, "")
	is_string(text)
	script := {"text": text, "path": array.concat(step.path, place)}
}

# Every way to write a member comes out as github.event.issue.title.
_members(expression) := {member |
	plain := replace(lower(expression), " ", "")
	dotted := regex.replace(plain, `\[['"]([^'"]*)['"]\]`, ".$1")
	some member in regex.find_n(`github(?:\.[a-z0-9_*-]+)*`, dotted, -1)
}

_is_trusted(member) if {
	not startswith(member, "github.event.")
	not member in data.platform.pipeline.untrusted_members
}

_is_trusted(member) if trim_prefix(member, "github.event.") in data.platform.pipeline.trusted_event_members
