# One good request of each kind. A test changes what it is about and leaves the rest; places are JSON pointers.
package tests.lib.requests

without(document, pointer) := json.patch(document, [{"op": "remove", "path": pointer}])

changed(document, pointer, value) := json.patch(document, [{"op": "replace", "path": pointer, "value": value}])

# `document` with one more member, or one more item in front of the one at `pointer`.
extended(document, pointer, value) := json.patch(document, [{"op": "add", "path": pointer, "value": value}])

_app := {
	"name": "where2eat",
	"tenant": "marketing",
	"owner": "lead@example.com",
	"secondaryOwner": "deputy@example.com",
	"costCenter": "MK-42",
	"template": {"name": "recommendations", "version": "1.2.0"},
	"audience": "team",
	"data": {
		"classes": ["internal", "personal"],
		"pii": ["dietary_preference"],
		"retention": "P30D",
		"residency": ["eu"],
	},
	"connectors": [
		{
			"name": "hris",
			"scopes": ["employees:read"],
			"purpose": "Dietary preferences of the people who eat together.",
			"hosts": ["api.hris.example.com"],
		},
		{
			"name": "recommender",
			"scopes": ["recommendations:read"],
			"purpose": "Restaurants that suit the preferences of a group.",
			"hosts": ["api.recommender.example.com"],
		},
	],
	"runtime": {
		"class": "wasm",
		"caps": {"cpu": 0.5, "memoryMiB": 256, "timeoutMs": 5000, "storageMiB": 64},
		"module": {
			"path": "build/app.wasm",
			"sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		},
	},
	"egress": ["api.hris.example.com", "api.recommender.example.com"],
	"secrets": [{"name": "recommender-key", "ttl": "PT15M", "rotation": "P30D"}],
	"quotas": {"requestsPerDay": 1000, "costEurPerMonth": 50},
}

_hris := {
	"name": "hris",
	"state": "approved",
	"hosts": ["api.hris.example.com"],
	"regions": ["eu"],
	"scopes": {"employees:read": "read", "employees:write": "write"},
	"data_classes": ["personal"],
	"operations": [
		{
			"name": "list employees", "method": "GET", "paths": ["/scim/v2/Users"], "scope": "employees:read",
			"cost_microeur": 200, "shaped": ["response"],
		},
		{
			"name": "read employee", "method": "GET", "paths": ["/scim/v2/Users/{id}", "/v1/employees/{id}/card"],
			"scope": "employees:read", "reserved": ["export"],
		},
	],
	"fields": [
		{"pointer": ["Resources", "*", "emails"], "class": "personal", "pii": "email"},
		{"pointer": ["Resources", "*", "dietaryPreference"], "class": "personal", "pii": "dietary_preference"},
		{"pointer": ["Resources", "*", "office"], "class": "internal"},
	],
	"limits": {"marketing": 5000, "*": 1000},
	"owner": "hr-systems@example.com",
	"digest": "sha256:of-the-hris-document",
	"review_by": "2027-06-30",
	"approvals": both_agreed("hr-systems@example.com"),
	"tenants": ["marketing", "hr"],
	"acts_for_person": false,
}

_recommender := {
	"name": "recommender",
	"state": "approved",
	"hosts": ["api.recommender.example.com"],
	"regions": ["eu"],
	"scopes": {"recommendations:read": "read"},
	"data_classes": ["internal"],
	"operations": [{
		"name": "recommendations.create",
		"method": "POST",
		"paths": ["/v2/recommendations/"],
		"scope": "recommendations:read",
	}],
	"fields": [],
	"limits": {"*": 2000},
	"owner": "data-science@example.com",
	"digest": "sha256:of-the-recommender-document",
	"review_by": "2027-06-30",
	"approvals": both_agreed("data-science@example.com"),
	"tenants": ["*"],
	"acts_for_person": false,
}

_tenant := {
	"known": true,
	"name": "marketing",
	"business_area": "marketing",
	"cost_centers": ["MK-42", "MK-43"],
	"connectors": ["hris", "recommender"],
	"quotas": {"requestsPerDay": 20000, "costEurPerMonth": 500},
	"regions": ["eu"],
}

_facts := {
	"connectors": [_hris, _recommender],
	"tenant": _tenant,
	"pii": [],
	"secrets": [],
	"schema_errors": [],
	"approvals": [],
	"unavailable": [],
}

_request := {
	"now": "2026-11-24T09:00:00Z",
	"tenant": "marketing",
	"subject": {"id": "lead@example.com", "groups": ["marketing"]},
	"context": {},
	"app": _app,
	"facts": _facts,
}

_deployed := {"known": true, "state": "active", "state_since": "2026-11-01T09:00:00Z", "legal_hold": false, "spec": _app}

deploy := object.union(_request, {
	"kind": "deploy",
	"action": "create",
	"resource": {"kind": "MicroApp"},
	"facts": {
		"app": {"known": false},
		"template": {
			"known": true,
			"name": "recommendations",
			"version": "1.2.0",
			"state": "published",
			"spec": {"connectors": [
				{"name": "hris", "scopes": ["employees:read"]},
				{"name": "recommender", "scopes": ["recommendations:read"]},
			]},
		},
	},
})

template := object.union(_request, {
	"kind": "template",
	"action": "publish",
	"resource": {"kind": "AppTemplate", "metadata": {"name": "recommendations", "version": "1.2.0"}},
	"app": {
		"name": "recommendations",
		"title": "Recommendations",
		"summary": "Suggests something to a group from what its members like.",
		"owner": "platform@example.com",
	},
	"facts": {"template": {
		"known": false,
		"name": "recommendations",
		"version": "1.2.0",
		"publisher": {"known": false},
	}},
})

connector_call := object.union(_request, {
	"kind": "connector_call",
	"action": "call",
	"resource": {
		"app": "where2eat",
		"connector": "hris",
		"operation": "list employees",
		"method": "GET",
		"url": "https://api.hris.example.com/scim/v2/Users?team=42",
		"scopes": ["employees:read"],
		"headers": {"accept": "application/json"},
	},
	"facts": {
		"app": _deployed,
		"url": {
			"valid": true,
			"scheme": "https",
			"host": "api.hris.example.com",
			"port": 443,
			"path": "/scim/v2/Users",
			"has_userinfo": false,
			"is_ip": false,
			"is_private": false,
		},
	},
})

# A person lets the app act for them at a connector; `call_for_person` is a call that stands on that.
consent := object.union(_request, {
	"kind": "consent",
	"action": "give",
	"resource": {
		"app": "where2eat",
		"connector": "hris",
		"scopes": ["employees:read"],
		"purpose": "Dietary preferences of the people who eat together.",
		"expires_at": "2027-01-23T09:00:00Z",
	},
	"facts": {"app": _deployed, "connectors": [object.union(_hris, {"acts_for_person": true}), _recommender]},
})

approval_taken_back := object.union(_request, {
	"kind": "revocation",
	"action": "withdraw",
	"resource": {"connector": "hris"},
	"context": {"as": "compliance", "digest": "sha256:of-the-hris-document", "reason": "It was breached."},
	"facts": {
		"connectors": [_hris],
		"approval": {
			"by": "key:other",
			"person": "cai.l",
			"role": "compliance",
			"team": "",
			"owner": "hr-systems@example.com",
			"digest": "sha256:of-the-hris-document",
			"given": [{"as": "compliance", "by": "key:officer", "person": "ben.o"}],
		},
	},
})

revocation := object.union(_request, {
	"kind": "revocation",
	"action": "revoke",
	"resource": {"app": "where2eat", "connector": "hris", "consent": "0199-given"},
	"facts": {"app": _deployed, "connectors": [object.union(_hris, {"acts_for_person": true}), _recommender]},
})

call_for_person := object.union(connector_call, {
	"resource": {"consent": "0199-given"},
	"facts": {
		"connectors": [object.union(_hris, {"acts_for_person": true}), _recommender],
		"consent": {
			"known": true,
			"id": "0199-given",
			"app": "where2eat",
			"tenant": "marketing",
			"connector": "hris",
			"scopes": ["employees:read"],
			"purpose": "Dietary preferences of the people who eat together.",
			"state": "given",
			"expires_at": "2027-01-23T09:00:00Z",
		},
	},
})

# A flow names a connector; `flow_to_url` names an address of it instead.
data_flow := object.union(_request, {
	"kind": "data_flow",
	"action": "send",
	"resource": {
		"app": "where2eat",
		"source": "hris",
		"destination": {"connector": "recommender"},
		"purpose": "Suggestions for the team's lunch.",
		"content_type": "application/json",
		"payload": {"preferences": ["vegan"]},
	},
	"facts": {"app": _deployed},
})

flow_to_url := object.union(without(data_flow, "/resource/destination/connector"), {
	"resource": {"destination": {"url": "https://api.recommender.example.com/v2/recommendations"}},
	"facts": {"url": {
		"valid": true,
		"scheme": "https",
		"host": "api.recommender.example.com",
		"port": 443,
		"path": "/v2/recommendations",
		"has_userinfo": false,
		"is_ip": false,
		"is_private": false,
	}},
})

# What a connector answered, on its way to the app.
answer := object.union(without(data_flow, "/resource/destination/connector"), {
	"resource": {"destination": {"app": "where2eat"}, "payload": {"Resources": [{"dietaryPreference": "vegan"}]}},
	"facts": {"app": _deployed},
})

# A person's call that the gateway holds while it asks.
app_call := object.union(_request, {
	"kind": "app_call",
	"action": "call",
	"subject": {"id": "ada", "role": "citizen", "tenant": "marketing", "actor": "key:gateway"},
	"resource": {
		"app": "where2eat",
		"method": "POST",
		"path": "/suggest",
		"query": {},
		"region": "eu",
		"headers": {"content-type": "application/json"},
		"body": {"group": "campaigns"},
	},
	"facts": {
		"app": _deployed,
		"usage": {"requests": {"app": {"day": 3, "month": 40}, "tenant": {"day": 30, "month": 400}}},
		"attack": {"engine": "libmodsecurity 3", "score": 0, "rules": []},
	},
})

# What the app answered to it, before anybody hears it.
app_answer := object.union(without(without(without(app_call, "/resource/headers"), "/resource/query"), "/resource/body"), {
	"kind": "app_answer",
	"action": "answer",
	"app": {"api": [{"method": "POST", "path": "/suggest", "body": {"type": "object"}, "answers": {
		"200": {
			"type": "object",
			"properties": {"places": {"type": "array", "items": {"type": "string", "maxLength": 40}}},
			"required": ["places"],
			"additionalProperties": false,
		},
		"204": null,
		"4XX": {"type": "object"},
	}}]},
	"resource": {"status": 200, "content_type": "application/json", "body": {"places": ["Noodle Bar"]}},
	"facts": {"app": {"digest": "sha256:d1"}, "api": {"digest": "sha256:d1", "accepted": [
		{"index": 0, "part": "answers", "status": "200"},
		{"index": 0, "part": "answers", "status": "4XX"},
	]}},
})

# An app that publishes, subscribes, is called from outside and by the clock.
deploy_with_events := object.union(deploy, {
	"app": {"events": {
		"publishes": [{"type": "com.example.lunch.chosen", "classes": ["internal", "personal"], "schema": {}, "sharedWith": ["hr"]}],
		"subscribes": [{
			"name": "on-menu",
			"app": "canteen",
			"type": "com.example.menu.changed",
			"purpose": "Dishes to choose from.",
			"deliver": {"url": "https://api.recommender.example.com/v2/recommendations/menu", "signedWith": "recommender-key"},
		}],
		"webhooks": [{"name": "menu", "type": "com.example.lunch.chosen", "scheme": "standard", "signedWith": "recommender-key"}],
		"schedules": [{"name": "noon", "type": "com.example.lunch.chosen", "cron": "0 12 * * *"}],
	}},
	"facts": {"events": {
		"problems": [],
		"schedules": [{"index": 0, "shortest_s": 86400}],
		"subscriptions": [{
			"index": 0,
			"known": true,
			"tenant": "facilities",
			"state": "active",
			"classes": ["internal"],
			"shared_with": ["marketing"],
			"url": {"valid": true, "scheme": "https", "host": "api.recommender.example.com", "has_userinfo": false},
		}],
	}},
})

_event_flow := object.union(without(data_flow, "/resource/destination/connector"), {"resource": {
	"source": "/apps/where2eat",
	"event": {"id": "1", "type": "com.example.lunch.chosen"},
}})

# An event on its way to the exchange, and one on its way to who subscribed.
event_published := object.union(_event_flow, {
	"resource": {"destination": {"topic": "com.example.lunch.chosen"}},
	"facts": {
		"app": _deployed,
		"event": {"declared": true, "classes": ["internal", "personal"], "schema_errors": []},
	},
})

event_delivered := object.union(_event_flow, {
	"resource": {"destination": {"app": "canteen", "subscription": "on-lunch"}},
	"facts": {
		"app": _deployed,
		"event": {
			"known": true,
			"subscribed": true,
			"published": true,
			"tenant": "marketing",
			"state": "active",
			"classes": ["internal", "personal"],
			"shared_with": ["hr"],
			"subscriber": {
				"name": "canteen",
				"tenant": "hr",
				"state": "active",
				"classes": ["internal", "personal"],
				"pii": ["dietary_preference"],
				"residency": ["eu"],
			},
		},
	},
})

publish := object.union(_request, {
	"kind": "publish",
	"action": "publish",
	"resource": {"app": "where2eat", "change": {"audience": "department"}},
	"facts": {"app": _deployed},
})

lifecycle := object.union(_request, {
	"kind": "lifecycle",
	"action": "change",
	"resource": {"app": "where2eat", "change": {"from": "active", "to": "archived"}},
	"facts": {"app": _deployed},
})

_container := {
	"image": "registry.example.com/apps/where2eat:1.4.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	"resources": {"limits": {"cpu": "500m", "memory": "256Mi"}},
	"securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
}

_labels := {
	"microapps.internal/tenant": "marketing",
	"microapps.internal/app": "where2eat",
	"microapps.internal/cost-center": "MK-42",
}

workload := object.union(_request, {
	"kind": "workload",
	"action": "create",
	"resource": {
		"apiVersion": "v1",
		"kind": "Pod",
		"metadata": {"name": "where2eat", "labels": _labels, "annotations": {}},
		"spec": {
			"automountServiceAccountToken": false,
			"runtimeClassName": "gvisor",
			"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
			"initContainers": [object.union(_container, {"name": "setup"})],
			"containers": [object.union(_container, {"name": "web"})],
			"volumes": [{"name": "scratch", "emptyDir": {}}],
		},
	},
	"facts": {"app": {"known": false}},
})

# What two people gave to a connector of `owner`.
both_agreed(owner) := [
	{"as": "owner", "by": "key:owner", "person": "ana.k", "role": "platform", "team": owner},
	{"as": "compliance", "by": "key:officer", "person": "ben.o", "role": "compliance", "team": ""},
]

# Approvals of this request by `who` in `role`, good for another month.
approved_by(request, who, role) := changed(request, "/facts/approvals", [{
	"by": who,
	"role": role,
	"digest": "sha256:0",
	"scope": "deploy",
	"expires_at": "2026-12-24T09:00:00Z",
}])
