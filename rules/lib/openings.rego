# Ways into a network that a plan opens: who may come, and to which ports. What is not said means every port.
package platform.lib.openings

import data.platform.lib.lists
import data.platform.lib.plan

_all_ports := {"from": 0, "to": 65535}

all contains o if {
	some rule in _rules
	some source in rule.sources
	is_string(source)
	some ports in rule.ports
	o := {"path": rule.path, "source": source, "from": ports.from, "to": ports.to}
}

_rules contains rule if {
	some r in plan.resources
	r.type in {"aws_security_group", "aws_default_security_group"}
	some i, it in lists.of(r.after, "ingress")
	rule := _aws(it, array.concat(r.path, ["ingress", i]))
}

_rules contains _aws(r.after, r.path) if {
	some r in plan.resources
	r.type == "aws_security_group_rule"
	lists.text_of(r.after, "type") != "egress"
}

_rules contains _aws(r.after, r.path) if {
	some r in plan.resources
	r.type == "aws_vpc_security_group_ingress_rule"
}

_rules contains rule if {
	some r in plan.resources
	r.type == "google_compute_firewall"
	lists.text_of(r.after, "direction") != "EGRESS"
	ports := [span | some allowed in lists.of(r.after, "allow"); some span in _spans(lists.of(allowed, "ports"))]
	rule := {"path": r.path, "sources": lists.of(r.after, "source_ranges"), "ports": ports}
}

_rules contains _azure(r.after, r.path) if {
	some r in plan.resources
	r.type == "azurerm_network_security_rule"
}

_rules contains rule if {
	some r in plan.resources
	r.type == "azurerm_network_security_group"
	some i, it in lists.of(r.after, "security_rule")
	rule := _azure(it, array.concat(r.path, ["security_rule", i]))
}

_aws(it, path) := {
	"path": path,
	"sources": array.concat(
		array.concat(lists.of(it, "cidr_blocks"), lists.of(it, "ipv6_cidr_blocks")),
		[lists.text_of(it, "cidr_ipv4"), lists.text_of(it, "cidr_ipv6")],
	),
	"ports": [_aws_ports(it)],
}

_aws_ports(it) := {"from": it.from_port, "to": it.to_port} if {
	not "-1" in {lists.text_of(it, "protocol"), lists.text_of(it, "ip_protocol")}
	is_number(it.from_port)
	is_number(it.to_port)
	it.to_port >= 0
} else := _all_ports

_azure(it, path) := {"path": path, "sources": sources, "ports": _spans(ports)} if {
	lists.text_of(it, "access") != "Deny"
	lists.text_of(it, "direction") != "Outbound"
	sources := array.concat(lists.of(it, "source_address_prefixes"), [lists.text_of(it, "source_address_prefix")])
	single := [port | port := lists.text_of(it, "destination_port_range"); port != ""]
	ports := array.concat(lists.of(it, "destination_port_ranges"), single)
} else := {"path": path, "sources": [], "ports": []}

_spans(texts) := [_span(text) | some text in texts] if {
	count(texts) > 0
} else := [_all_ports]

_span(text) := {"from": to_number(parts[0]), "to": to_number(parts[count(parts) - 1])} if {
	is_string(text)
	regex.match(`^[0-9]{1,5}(-[0-9]{1,5})?$`, text)
	parts := split(text, "-")
} else := _all_ports
