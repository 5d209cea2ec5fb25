package tests.infrastructure.region_test

import data.platform.rules.infrastructure.region
import data.tests.lib.requests

_places(request) := places if {
	places := {v.path | some v in region.deny} with input as request
}

test_the_tenant_s_region_passes if {
	_places(requests.infrastructure) == set()
}

test_a_zone_elsewhere_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/availability_zone", "us-east-1a")) == {["resource", "resource_changes", 0, "change", "after", "availability_zone"]}
}

test_a_place_that_nobody_knows_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/resource_changes/0/change/after/availability_zone", "mars-north-1a")) == {["resource", "resource_changes", 0, "change", "after", "availability_zone"]}
}

test_a_provider_elsewhere_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/variables/region/value", "us-east-1")) == {["resource", "configuration", "provider_config", "aws", "expressions", "region"]}
}

test_a_provider_s_constant_counts if {
	_places(requests.changed(requests.infrastructure, "/resource/configuration/provider_config/aws/expressions", {"region": {"constant_value": "us-east-1"}})) == {["resource", "configuration", "provider_config", "aws", "expressions", "region"]}
}

test_a_provider_that_says_nothing_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/configuration/provider_config/aws/expressions", {})) == {["resource", "configuration", "provider_config", "aws"]}
}

test_a_variable_without_a_value_is_refused if {
	_places(requests.without(requests.infrastructure, "/resource/variables/region")) == {["resource", "configuration", "provider_config", "aws"]}
}

test_a_value_that_is_worked_out_is_refused if {
	_places(requests.changed(requests.infrastructure, "/resource/configuration/provider_config/aws/expressions", {"region": {"references": ["local.region"]}})) == {["resource", "configuration", "provider_config", "aws"]}
}

test_a_provider_that_has_no_region_passes if {
	_places(requests.changed(requests.infrastructure, "/resource/configuration/provider_config/aws", {"name": "random"})) == set()
}

test_a_region_of_google_passes if {
	_places(requests.plan_of("google_storage_bucket", {"location": "EUROPE-WEST3"})) == set()
}

test_a_zone_of_google_passes if {
	_places(requests.plan_of("google_compute_instance", {"zone": "europe-west1-b"})) == set()
}

test_a_region_of_azure_by_its_long_name_passes if {
	_places(requests.plan_of("azurerm_resource_group", {"location": "West Europe"})) == set()
}

test_what_is_everywhere_passes if {
	_places(requests.plan_of("azurerm_dns_zone", {"location": "global"})) == set()
}

test_the_platform_s_region_is_not_the_tenant_s if {
	_places(requests.plan_of("azurerm_resource_group", {"location": "uksouth"})) == {["resource", "resource_changes", 0, "change", "after", "location"]}
}

test_without_a_tenant_the_platform_s_regions_count if {
	_places(requests.changed(requests.plan_of("azurerm_resource_group", {"location": "uksouth"}), "/tenant", "")) == set()
}

test_without_facts_no_region_is_the_tenant_s if {
	_places(requests.without(requests.infrastructure, "/facts")) == {["resource", "resource_changes", 0, "change", "after", "availability_zone"], ["resource", "configuration", "provider_config", "aws", "expressions", "region"]}
}
