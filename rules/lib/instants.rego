# Instants as the host and the registry write them (RFC 3339). Undefined for anything else, so that a comparison with it
# fails: ask for what must still be ahead, never for what must be over.
package platform.lib.instants

_pattern := `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`

nanoseconds(text) := time.parse_rfc3339_ns(text) if {
	is_string(text)
	regex.match(_pattern, text)
}

is_ahead(text) if nanoseconds(text) > nanoseconds(object.get(input, "now", ""))
