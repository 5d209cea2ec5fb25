# A Kubernetes quantity ("500m", "1.5Gi", 2) as a number. Undefined for anything else, so that a comparison with it fails.
package platform.lib.quantities

amount(quantity) := quantity if {
	is_number(quantity)
} else := number if {
	is_string(quantity)
	found := regex.find_all_string_submatch_n(data.platform.kubernetes.quantity_pattern, quantity, 1)[0]
	number := to_number(found[1]) * data.platform.kubernetes.quantity_units[found[2]]
}
