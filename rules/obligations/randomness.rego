# METADATA
# title: The randomness that the app gets
# description: Real, or the same bytes for every call of an app; real where the manifest asks for none.
# custom:
#   type: randomness
#   applies_to: [deploy]
package platform.obligations.randomness

oblige contains source if {
	given := data.platform.runtime.randomness[input.app.runtime.class]
	source := object.get(input, ["app", "runtime", "randomness"], given[0])
	source in given
}
