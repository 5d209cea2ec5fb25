# METADATA
# title: Webhooks are signed, both ways
# description: A webhook names a scheme that the platform verifies and a secret of the app, and so a client certificate; where events are sent out, the address belongs to one of its connectors.
# custom:
#   id: EVT-005
#   severity: high
#   applies_to: [deploy]
#   controls: ["ISO-27001:A.8.24", "SOC2:CC6.6", "GDPR:Art.32", "NIST-SP-800-53:SC-8", "NIST-SP-800-53:IA-9"]
#   remediation: Name one of the schemes and a secret that stands under secrets; send to a host of a declared connector.
package platform.rules.events.webhooks

import data.platform.lib.lists
import data.platform.lib.manifest
import data.platform.lib.registry

deny contains v if {
	some i, hook in lists.at(["app", "events", "webhooks"])
	scheme := object.get(lists.as_object(hook), "scheme", "")
	not scheme in data.platform.events.webhook_schemes
	v := {
		"path": ["app", "events", "webhooks", i, "scheme"],
		"message": sprintf("The scheme %s is not one that can be verified.", [json.marshal(scheme)]),
	}
}

deny contains v if {
	some used in _secrets
	not used.name in {s.name | some s in manifest.secrets}
	v := {
		"path": used.path,
		"message": sprintf("The secret %s does not stand under the app's secrets.", [json.marshal(used.name)]),
	}
}

deny contains v if {
	some [i, _] in _sent
	not _is_reached(i)
	v := {
		"path": ["app", "events", "subscribes", i, "deliver", "url"],
		"message": "Events are sent only to https addresses on hosts of the app's connectors.",
	}
}

_secrets contains {"name": name, "path": ["app", "events", "webhooks", i, "signedWith"]} if {
	some i, hook in lists.at(["app", "events", "webhooks"])
	name := object.get(lists.as_object(hook), "signedWith", "")
}

_secrets contains {"name": name, "path": ["app", "events", "subscribes", i, "deliver", "signedWith"]} if {
	some [i, deliver] in _sent
	name := object.get(lists.as_object(deliver), "signedWith", "")
}

_secrets contains {"name": name, "path": ["app", "events", "subscribes", i, "deliver", "certificate"]} if {
	some [i, deliver] in _sent
	name := lists.as_object(deliver).certificate
}

# [place, deliver] of each subscription that goes to an address: all but those that are fetched, or read from the stream.
_sent contains [i, deliver] if {
	some i, wanted in lists.at(["app", "events", "subscribes"])
	deliver := lists.as_object(wanted).deliver
	deliver != {"via": "stream"}
}

_is_reached(i) if {
	some row in lists.at(["facts", "events", "subscriptions"])
	row.index == i
	row.url.valid == true
	row.url.scheme == "https"
	row.url.has_userinfo == false
	some used in manifest.connectors
	[used.name, row.url.host] in registry.hosts
}
