# METADATA
# title: Runtime class to start the app in
# description: The class that the manifest names; the rules have held it against the data that the app handles.
# custom:
#   type: runtime_class
#   applies_to: [deploy]
package platform.obligations.runtime_class

oblige contains class if {
	class := input.app.runtime.class
	class in data.platform.runtime.preference
}
