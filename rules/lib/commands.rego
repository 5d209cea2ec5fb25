# Commands that a build or a workflow runs, as text, each with where it stands.
package platform.lib.commands

import data.platform.lib.lists
import data.platform.lib.workflows

all contains command if {
	some i, instruction in lists.at(["resource", "instructions"])
	lists.text_of(instruction, "name") in {"RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"}
	texts := array.concat(
		[lists.text_of(instruction, "text"), concat(" ", [word | some word in lists.of(instruction, "exec"); is_string(word)])],
		[text | some text in lists.of(instruction, "heredocs"); is_string(text)],
	)
	command := {"text": concat("\n", texts), "path": ["resource", "instructions", i]}
}

all contains command if {
	some step in workflows.steps
	text := lists.text_of(step.it, "run")
	text != ""
	command := {"text": replace(text, "\\\n", " "), "path": array.concat(step.path, ["run"])}
}
