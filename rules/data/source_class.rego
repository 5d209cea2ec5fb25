# METADATA
# title: Data goes where its source's classes are cleared
# description: What comes from a connector, or from an app, that holds confidential, restricted or special data goes only to a destination cleared for that class.
# custom:
#   id: DATA-015
#   severity: high
#   applies_to: [data_flow]
#   controls: ["ISO-27001:A.5.12", "ISO-27001:A.8.12", "SOC2:CC6.7", "SOC2:C1.1", "GDPR:Art.5", "NIST-SP-800-53:AC-4"]
#   remediation: Send it to a connector that is cleared for the class, or take it from a source that does not hold it.
package platform.rules.data.source_class

import data.platform.lib.answer
import data.platform.lib.destination
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some class in _carried
	class in data.platform.classes.bound
	not class in destination.cleared
	not _is_declared_for_answer(class)
	v := {
		"path": ["resource", "source"],
		"message": sprintf("What comes from this source is of the class %s, for which the destination is not cleared.", [json.marshal(class)]),
	}
}

deny contains v if {
	count(_carried) == 0
	v := {
		"path": ["resource", "source"],
		"message": "Nobody knows which classes of data this source holds.",
	}
}

_carried contains class if {
	some c in _sources
	some class in c.data_classes
}

# A source that is no connector is the app itself, with all that it declared.
_carried contains class if {
	count(_sources) == 0
	some class in manifest.classes
}

_sources contains c if {
	some c in registry.entries
	c.name == input.resource.source
}

_is_declared_for_answer(class) if {
	answer.is_answer
	class in manifest.classes
}
