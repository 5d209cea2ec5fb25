# Lists of the request by their path. What is missing or no list is an empty one: a document of the wrong shape is the
# schema rule's to refuse, with the place, and every other rule still has its say.
package platform.lib.lists

at(path) := items if {
	items := object.get(input, path, [])
	is_array(items)
} else := []

# The list under `member`, where `owner` is an object that has one.
of(owner, member) := items if {
	items := object.get(owner, member, [])
	is_array(items)
} else := []
