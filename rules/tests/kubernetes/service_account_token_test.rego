package tests.kubernetes.service_account_token_test

import data.platform.rules.kubernetes.service_account_token
import data.tests.lib.requests
import data.tests.lib.workloads

_found(request) := places if {
	places := {v.path | some v in service_account_token.deny} with input as request
}

_place := workloads.in_spec(["automountServiceAccountToken"])

_token(value) := {"/automountServiceAccountToken": value}

test_a_pod_that_says_no_passes if {
	_found(workloads.changed({})) == set()
}

test_yes_and_nothing_are_refused if {
	every value in [true, null, "false"] {
		_found(workloads.changed(_token(value))) == {_place}
	}
	_found(requests.without(requests.workload, "/resource/spec/automountServiceAccountToken")) == {_place}
}

_operator := {"/automountServiceAccountToken": true, "/serviceAccountName": "operator"}

_allowing := {"marketing": ["operator"]}

test_an_account_that_may_passes_for_its_tenant_only if {
	_found(workloads.changed(_operator)) == {_place}
	_found(workloads.changed(_operator)) == set() with data.platform.kubernetes.service_accounts as _allowing
	_found(workloads.changed(_token(true))) == {_place} with data.platform.kubernetes.service_accounts as _allowing
	_found(object.union(workloads.changed(_operator), {"tenant": "hr"})) == {_place} with data.platform.kubernetes.service_accounts as _allowing
}

test_the_account_that_is_not_named_is_the_default_one if {
	allowing := {"marketing": ["default"]}
	_found(workloads.changed(_token(true))) == set() with data.platform.kubernetes.service_accounts as allowing
}

test_what_goes_away_is_not_judged if {
	_found(object.union(workloads.changed(_token(true)), {"action": "delete"})) == set()
}

test_beside_a_named_profile_it_only_warns if {
	weights := {v.effect | some v in service_account_token.deny} with input as workloads.asked("restricted", "latest", _token(true))
	weights == {"warn"}
	alone := {v.effect | some v in service_account_token.deny} with input as workloads.changed(_token(true))
	alone == {"deny"}
}

test_the_old_name_of_the_member_counts_as_well if {
	allowing := {"marketing": ["default", "operator"]}
	every old, places in {"operator": set(), "admin": {_place}, "": set()} {
		request := workloads.changed(object.union(_token(true), {"/serviceAccount": old}))
		_found(request) == places with data.platform.kubernetes.service_accounts as allowing
	}
	every pair in [["operator", "admin"], ["admin", "operator"], ["", "admin"], [null, "admin"]] {
		request := workloads.changed({
			"/automountServiceAccountToken": true,
			"/serviceAccountName": pair[0],
			"/serviceAccount": pair[1],
		})
		_found(request) == {_place} with data.platform.kubernetes.service_accounts as allowing
	}
	same := workloads.changed(object.union(_operator, {"/serviceAccount": "operator"}))
	_found(same) == set() with data.platform.kubernetes.service_accounts as allowing
}

test_a_token_that_a_volume_brings_is_one if {
	place := workloads.in_spec(["volumes", 0, "projected", "sources", 1])
	every token in [{"path": "t"}, {}, "t"] {
		sources := [{"configMap": {"name": "c"}}, {"serviceAccountToken": token}]
		request := workloads.changed({"/volumes": [{"name": "v", "projected": {"sources": sources}}]})
		_found(request) == {place}
		_found(request) == set() with data.platform.kubernetes.service_accounts as {"marketing": ["default"]}
	}
	none := [{"serviceAccountToken": null}, {"downwardAPI": {}}]
	_found(workloads.changed({"/volumes": [{"name": "v", "projected": {"sources": none}}]})) == set()
}
