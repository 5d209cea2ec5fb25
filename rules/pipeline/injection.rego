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
	some expression in _expressions(script.text)
	some member in _members(expression) | _taken_from_environment(expression)
	not _is_trusted(member)
	v := {
		"path": script.path,
		"message": sprintf("The value of %s, which somebody outside may have written, becomes part of this script.", [member]),
	}
}

_scripts contains script if {
	some step in workflows.steps
	some place in [["run"], ["shell"], ["with", "script"]]
	is_object(step.it)
	text := object.get(step.it, place, "")
	is_string(text)
	script := {"text": text, "path": array.concat(step.path, place)}
}

_scripts contains script if {
	some job in workflows.jobs
	is_object(job.it)
	text := object.get(job.it, ["defaults", "run", "shell"], "")
	is_string(text)
	script := {"text": text, "path": array.concat(job.path, ["defaults", "run", "shell"])}
}

_expressions(text) := regex.find_n(`\$\{\{(?:[^}]|\}[^}])*\}\}`, text, -1)

_dotted(expression) := regex.replace(replace(lower(expression), " ", ""), `\[['"]([^'"]*)['"]\]`, ".$1")

_members(expression) := {member | some member in regex.find_n(`github(?:\.[a-z0-9_*-]+)*`, _dotted(expression), -1)}

# A variable is safe in a script, `${{ env.NAME }}` is the text of its value again. Which `env` counts where is not looked into.
_taken_from_environment(expression) := {member |
	some variable in regex.find_n(`env\.[a-z0-9_-]+`, _dotted(expression), -1)
	some [name, member] in _in_environment
	name == trim_prefix(variable, "env.")
}

_in_environment contains [lower(name), member] if {
	some owner in _with_environment
	some name, value in lists.object_of(owner, "env")
	is_string(value)
	some expression in _expressions(value)
	some member in _members(expression)
}

_with_environment contains object.get(input, "resource", {})

_with_environment contains part.it if some part in workflows.jobs | workflows.steps

_is_trusted(member) if {
	not startswith(member, "github.event.")
	not member in data.platform.pipeline.untrusted_members
}

_is_trusted(member) if trim_prefix(member, "github.event.") in data.platform.pipeline.trusted_event_members
