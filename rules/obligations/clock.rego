# METADATA
# title: The clock that the app sees
# description: real, coarse, or the one instant that a fixed clock shows; real where the manifest asks for none.
# custom:
#   type: clock
#   applies_to: [deploy]
package platform.obligations.clock

oblige contains clock if {
	clock := _asked
	clock != "fixed"
}

oblige contains data.platform.runtime.fixed_clock if _asked == "fixed"

_asked := clock if {
	given := data.platform.runtime.clocks[input.app.runtime.class]
	clock := object.get(input, ["app", "runtime", "clock"], given[0])
	clock in given
}
