package tests.infrastructure.admin_ports_test

import data.platform.rules.infrastructure.admin_ports
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in admin_ports.deny} with input as request
}

test_an_own_network_passes if {
	_places(requests.infrastructure) == set()
}

test_everybody_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 22, "to_port": 22, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_everybody_of_the_newer_addresses_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"ipv6_cidr_blocks": ["::/0"], "from_port": 22, "to_port": 22, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_half_of_everybody_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["128.0.0.0/1"], "from_port": 22, "to_port": 22, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_the_largest_own_network_passes if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["10.0.0.0/8"], "from_port": 22, "to_port": 22, "protocol": "tcp"}])) == set()
}

test_a_large_network_of_newer_addresses_passes if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"ipv6_cidr_blocks": ["2001:db8::/16"], "from_port": 22, "to_port": 22, "protocol": "tcp"}])) == set()
}

test_a_span_that_has_the_port_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 20, "to_port": 25, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_a_span_that_ends_at_the_port_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 20, "to_port": 21, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_a_span_that_starts_at_the_port_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 27017, "to_port": 27020, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_the_web_is_open if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 443, "to_port": 443, "protocol": "tcp"}])) == set()
}

test_every_protocol_is_every_port if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 443, "to_port": 443, "protocol": "-1"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_no_ports_are_every_port if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_ports_below_nought_are_every_port if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": ["0.0.0.0/0"], "from_port": -1, "to_port": -1, "protocol": "tcp"}])) == {["resource", "resource_changes", 1, "change", "after", "ingress", 0]}
}

test_an_address_that_is_no_text_is_nobody if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/1/change/after/ingress", [{"cidr_blocks": [7], "protocol": "tcp"}])) == set()
}

test_a_rule_of_its_own_counts if {
	_places(requests.plan_of("aws_security_group_rule", {"type": "ingress", "cidr_blocks": ["0.0.0.0/0"], "from_port": 3389, "to_port": 3389, "protocol": "tcp"})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_the_way_out_is_open if {
	_places(requests.plan_of("aws_security_group_rule", {"type": "egress", "cidr_blocks": ["0.0.0.0/0"], "protocol": "-1"})) == set()
}

test_a_newer_rule_counts if {
	_places(requests.plan_of("aws_vpc_security_group_ingress_rule", {"cidr_ipv4": "0.0.0.0/0", "ip_protocol": "-1"})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_a_newer_rule_of_newer_addresses_counts if {
	_places(requests.plan_of("aws_vpc_security_group_ingress_rule", {"cidr_ipv6": "::/0", "from_port": 22, "to_port": 22, "ip_protocol": "tcp"})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_a_firewall_of_google_counts if {
	_places(requests.plan_of("google_compute_firewall", {"source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["80", "20-30"]}]})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_a_firewall_of_google_without_ports_counts if {
	_places(requests.plan_of("google_compute_firewall", {"source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "all"}]})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_the_web_of_google_is_open if {
	_places(requests.plan_of("google_compute_firewall", {"source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["443"]}]})) == set()
}

test_the_way_out_of_google_is_open if {
	_places(requests.plan_of("google_compute_firewall", {"direction": "EGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "all"}]})) == set()
}

test_a_rule_of_azure_counts if {
	_places(requests.plan_of("azurerm_network_security_rule", {"access": "Allow", "direction": "Inbound", "source_address_prefix": "Internet", "destination_port_range": "22"})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_many_addresses_and_ports_of_azure_count if {
	_places(requests.plan_of("azurerm_network_security_rule", {"access": "Allow", "direction": "Inbound", "source_address_prefixes": ["10.0.0.0/8", "*"], "destination_port_ranges": ["443", "3000-4000"]})) == {["resource", "resource_changes", 0, "change", "after"]}
}

test_a_rule_of_azure_that_denies_passes if {
	_places(requests.plan_of("azurerm_network_security_rule", {"access": "Deny", "direction": "Inbound", "source_address_prefix": "*", "destination_port_range": "*"})) == set()
}

test_the_way_out_of_azure_is_open if {
	_places(requests.plan_of("azurerm_network_security_rule", {"access": "Allow", "direction": "Outbound", "source_address_prefix": "*", "destination_port_range": "*"})) == set()
}

test_rules_inside_a_group_of_azure_count if {
	_places(requests.plan_of("azurerm_network_security_group", {"security_rule": [{"access": "Allow", "direction": "Inbound", "source_address_prefix": "*", "destination_port_range": "*"}]})) == {["resource", "resource_changes", 0, "change", "after", "security_rule", 0]}
}

test_facts_change_nothing_about_a_port if {
	_places(requests.without(requests.infrastructure, "/facts")) == set()
}
