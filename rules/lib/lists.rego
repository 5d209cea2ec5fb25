# Parts of the request by their path, always of the type that is expected. What is missing or of another type is empty:
# a document of the wrong shape is the schema rule's to refuse, with the place, and every other rule still has its say.
package platform.lib.lists

at(path) := items if {
	is_object(input)
	items := object.get(input, path, [])
	is_array(items)
} else := []

# The list under `member`, where `owner` is an object that has one.
of(owner, member) := items if {
	is_object(owner)
	items := object.get(owner, member, [])
	is_array(items)
} else := []

# The object under `member`, where `owner` is an object that has one.
object_of(owner, member) := found if {
	is_object(owner)
	found := object.get(owner, member, {})
	is_object(found)
} else := {}

# The text under `member`, where `owner` is an object that has one.
text_of(owner, member) := text if {
	is_object(owner)
	text := object.get(owner, member, "")
	is_string(text)
} else := ""

as_object(value) := value if {
	is_object(value)
} else := {}
