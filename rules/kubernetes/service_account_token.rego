# METADATA
# title: No service account token by default
# description: A pod does not carry a key to the cluster's API unless its tenant's service account is allowed to.
# custom:
#   id: KUB-007
#   severity: high
#   applies_to: [workload]
#   controls: ["CIS-Kubernetes-1.8:5.1.6", "ISO-27001:A.8.2", "SOC2:CC8.1", "GDPR:Art.32", "NIST-SP-800-53:AC-6"]
#   remediation: "Set automountServiceAccountToken to false in the pod's spec, and project no serviceAccountToken into a volume."
package platform.rules.kubernetes.service_account_token

import data.platform.lib.lists
import data.platform.lib.pods
import data.platform.lib.workload

deny contains v if {
	pods.is_written
	some path in _carried
	some account in _accounts
	not account in workload.of_tenant(data.platform.kubernetes.service_accounts)
	v := {
		"path": path,
		"message": sprintf("The pod carries the token of the service account %s.", [json.marshal(account)]),
		"effect": workload.effect,
	}
}

_carried contains array.concat(pods.spec_path, ["automountServiceAccountToken"]) if {
	object.get(pods.spec, "automountServiceAccountToken", null) != false
}

# A volume may bring a token where nothing is mounted by itself.
_carried contains array.concat(volume.path, ["projected", "sources", i]) if {
	some volume in pods.volumes
	some i, source in lists.of(lists.object_of(volume.it, "projected"), "sources")
	"serviceAccountToken" in object.keys(lists.as_object(source))
	source.serviceAccountToken != null
}

# A cluster takes the old name of the member where the other says nothing; where they differ, each has to be allowed.
_named := {account |
	some member in ["serviceAccountName", "serviceAccount"]
	account := object.get(pods.spec, member, "")
	not account in {"", null}
}

_accounts := _named | {"default" | count(_named) == 0}
