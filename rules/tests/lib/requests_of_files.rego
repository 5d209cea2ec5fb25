# One good request for each sort of file that a repository holds, as the line hands it to the rules.
package tests.lib.requests

_file := {
	"tenant": "marketing",
	"subject": {"id": "os:1000", "actor": "os:1000"},
	"app": {"name": "where2eat"},
	"context": {"app": "where2eat"},
	"dry_run": false,
	"now": "2026-11-24T09:00:00Z",
	"facts": {
		"app": {"known": false},
		"approvals": [],
		"connectors": [],
		"pii": [],
		"secrets": [],
		"schema_errors": [],
		"tenant": {"known": true, "name": "marketing", "regions": ["eu"]},
		"unavailable": [],
	},
}

image_build := object.union(_file, {
	"kind": "image_build",
	"action": "build",
	"resource": {
		"instructions": [
			{"name": "FROM", "stage": 0, "flags": {}, "text": "registry.example.com/python@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef AS build"},
			{"name": "ENV", "stage": 0, "flags": {}, "variables": {"PORT": "8080"}},
			{"name": "ADD", "stage": 0, "flags": {}, "text": "app.tar /app", "sources": ["app.tar"]},
			{"name": "RUN", "stage": 0, "flags": {"network": ["none"]}, "text": "pip install --no-index /app"},
			{"name": "FROM", "stage": 1, "flags": {}, "text": "build"},
			{"name": "USER", "stage": 1, "flags": {}, "text": "app:app"},
			{"name": "CMD", "stage": 1, "flags": {}, "text": "[\"python\", \"-m\", \"app\"]", "exec": ["python", "-m", "app"]},
		],
		"stages": [
			{
				"name": "build",
				"image": "registry.example.com/python@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				"from_stage": null,
				"instruction": 0,
			},
			{"name": "", "image": "build", "from_stage": 0, "instruction": 4, "user": {"value": "app:app", "instruction": 5}},
		],
		"images": [],
	},
})

pipeline := object.union(_file, {
	"kind": "pipeline",
	"action": "run",
	"resource": {
		"on": {"push": {"branches": ["main"]}, "pull_request": null},
		"permissions": {"contents": "read"},
		"jobs": {"test": {
			"runs-on": "ubuntu-24.04",
			"container": {"image": "registry.example.com/ci@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
			"steps": [
				{"uses": "actions/checkout@0123456789abcdef0123456789abcdef01234567", "with": {"persist-credentials": false}},
				{"run": "make test", "env": {"NUMBER": "${{ github.event.pull_request.number }}"}},
			],
		}},
	},
})

infrastructure := object.union(_file, {
	"kind": "infrastructure",
	"action": "apply",
	"resource": {
		"format_version": "1.2",
		"terraform_version": "1.9.8",
		"errored": false,
		"variables": {"region": {"value": "eu-central-1"}},
		"configuration": {"provider_config": {"aws": {
			"name": "aws",
			"expressions": {"region": {"references": ["var.region"]}},
		}}},
		"resource_changes": [
			{
				"address": "aws_db_instance.orders",
				"mode": "managed",
				"type": "aws_db_instance",
				"change": {
					"actions": ["create"],
					"after": {
						"availability_zone": "eu-central-1a",
						"publicly_accessible": false,
						"storage_encrypted": true,
						"tags": {"cost-center": "MK-42", "owner": "lead@example.com", "tenant": "marketing"},
					},
					"after_unknown": {"arn": true},
				},
			},
			{
				"address": "aws_security_group.orders",
				"mode": "managed",
				"type": "aws_security_group",
				"change": {
					"actions": ["update"],
					"after": {"ingress": [{"cidr_blocks": ["10.20.0.0/16"], "from_port": 5432, "to_port": 5432, "protocol": "tcp"}]},
					"after_unknown": {},
				},
			},
			{
				"address": "aws_iam_policy.orders",
				"mode": "managed",
				"type": "aws_iam_policy",
				"change": {
					"actions": ["no-op"],
					"after": {"policy": "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"arn:aws:s3:::orders/*\"}]}"},
					"after_unknown": {},
				},
			},
		],
	},
})

registry_entry := object.union(_file, {
	"kind": "registry_entry",
	"action": "register",
	"resource": {
		"apiVersion": "microapps.internal/v1alpha1",
		"kind": "Waiver",
		"metadata": {"name": "old-image"},
		"spec": {
			"rule": "RUN-004",
			"subject": "app:where2eat",
			"owner": "lead@example.com",
			"approver": "compliance@example.com",
			"reason": "The vendor moves to digests in January.",
			"expires": "2027-01-31T00:00:00Z",
		},
	},
})

# A plan with one resource of `type` in place of the good ones.
plan_of(type, after) := planned(type, after, {})

planned(type, after, unknown) := changed(infrastructure, "/resource/resource_changes", [{
	"address": concat(".", [type, "it"]),
	"mode": "managed",
	"type": type,
	"change": {"actions": ["create"], "after": after, "after_unknown": unknown},
}])
