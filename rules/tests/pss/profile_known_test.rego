package tests.pss.profile_known_test

import data.platform.rules.pss.profile_known
import data.tests.lib.requests

_found(request) := places if {
	places := {v.path | some v in profile_known.deny} with input as request
}

_asked(context) := object.union(requests.workload, {"context": context})

test_profiles_and_versions_of_the_standard_pass if {
	every profile in ["privileged", "baseline", "restricted"] {
		every version in ["latest", "v1.0", "v1.24", "v1.99"] {
			_found(_asked({"profile": profile, "pss_version": version})) == set()
		}
	}
}

test_without_a_word_the_defaults_count if {
	_found(requests.workload) == set()
	_found(requests.without(requests.workload, "/context")) == set()
}

test_other_profiles_are_refused if {
	every profile in ["", "Restricted", "none", null, 7, ["privileged"]] {
		_found(_asked({"profile": profile})) == {["context", "profile"]}
	}
}

test_other_versions_are_refused if {
	every version in ["", "1.24", "v1", "v2.0", "v1.01", "v1.24.3", "newest", null, 1.24, ["latest"]] {
		_found(_asked({"profile": "baseline", "pss_version": version})) == {["context", "pss_version"]}
	}
}
