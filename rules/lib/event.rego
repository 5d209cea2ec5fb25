# An event on its way: to the exchange under its type (`topic`), or from there to an app that subscribed (`delivery`).
package platform.lib.event

import data.platform.lib.lists
import data.platform.lib.manifest

# Whole or not at all: a flow that names anything beside it is neither.
is_topic if {
	input.kind == "data_flow"
	destination := input.resource.destination
	object.keys(destination) == {"topic"}
	is_string(destination.topic)
	destination.topic != ""
}

is_delivery if {
	input.kind == "data_flow"
	destination := input.resource.destination
	object.keys(destination) == {"app", "subscription"}
	is_string(destination.app)
	is_string(destination.subscription)
}

is_event if is_topic

is_event if is_delivery

fact := found if {
	found := object.get(input, ["facts", "event"], {})
	is_object(found)
} else := {}

subscriber := lists.object_of(fact, "subscriber")

# Whether who gets it may see what was found in it: by class and, where it is about people, by kind.
clears(found) if {
	is_topic
	found.class in lists.of(fact, "classes")
	manifest.declares(found.class, _kind(found))
}

clears(found) if {
	is_delivery
	found.class in lists.of(subscriber, "classes")
	_names(found.class, _kind(found))
}

_names(_, kind) if kind in lists.of(subscriber, "pii")

_names(class, _) if not class in data.platform.classes.about_people

_kind(found) := object.get(data.platform.classes.entity_kinds, found.entity, "unknown")

# Whether events of `owner` may go to apps of `tenant`: its own, or one that it shares them with.
is_open(owner, tenant) if {
	tenant != ""
	lists.text_of(owner, "tenant") == tenant
}

is_open(owner, tenant) if {
	tenant != ""
	lists.text_of(owner, "tenant") != ""
	some other in lists.of(owner, "shared_with")
	other in {"*", tenant}
}
