package tests.kubernetes.limits_test

import data.platform.rules.kubernetes.limits
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in limits.deny} with input as request
}

_place(name) := workloads.in_spec(["containers", 0, "resources", "limits", name])

_limit(name, amount) := {concat("/", ["/containers/0/resources/limits", name]): amount}

_is_fine(name, amount) if _found(workloads.changed(_limit(name, amount))) == set()

_is_refused(name, amount) if _found(workloads.changed(_limit(name, amount))) == {_place(name)}

test_amounts_up_to_the_platforms_pass if {
	every amount in [2, "2", "1.5", "2000m", "1m", 0.25] {
		_is_fine("cpu", amount)
	}
	every amount in [2147483648, "2147483648", "2Gi", "2048Mi", "2G", "1.5Gi", "1000000k"] {
		_is_fine("memory", amount)
	}
}

test_more_is_refused if {
	every amount in [2.1, "3", "2001m", "1k"] {
		_is_refused("cpu", amount)
	}
	every amount in [2147483649, "2.1Gi", "3G", "1Ti", "1P", "1Pi", "1T"] {
		_is_refused("memory", amount)
	}
}

test_nothing_and_what_is_no_quantity_is_refused if {
	every amount in [0, "0", -1, "-1", "", "much", "1e3", "1 Gi", "1gi", null, [], {}, true] {
		_is_refused("cpu", amount)
		_is_refused("memory", amount)
	}
}

test_a_container_without_limits_is_named_for_each if {
	_found(workloads.changed({"/containers/0/resources": {}})) == {_place("cpu"), _place("memory")}
	_found(workloads.changed({"/containers/0/resources": "x"})) == {_place("cpu"), _place("memory")}
}

test_ephemeral_containers_can_have_none if {
	_found(workloads.changed({"/ephemeralContainers": [{"name": "debug"}]})) == set()
	init := {workloads.in_spec(["initContainers", 0, "resources", "limits", name]) | some name in ["cpu", "memory"]}
	_found(workloads.changed({"/initContainers/0/resources": {}})) == init
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_limit("cpu", 99)), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in limits.deny} with input as workloads.asked("restricted", "latest", _limit("cpu", 99))
	weights == {"warn"}
	alone := {v.effect | some v in limits.deny} with input as workloads.changed(_limit("cpu", 99))
	alone == {"deny"}
}
