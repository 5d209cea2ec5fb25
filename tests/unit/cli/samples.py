"""Files with mistakes in them, one of each sort that `check` recognises."""

from datetime import UTC, datetime, timedelta

DOCKERFILE = """\
FROM python:3.12
ENV DB_PASSWORD=not-a-real-one
ADD https://files.example/x.tar /x
RUN --network=host curl https://files.example/i \\
  | sh
USER 0
"""

WORKFLOW = """\
name: ci
on:
  pull_request_target:
permissions: write-all
env:
  API_TOKEN: not-a-real-one
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{ github.event.pull_request.head.sha }}
      - name: greet
        run: echo "${{ github.event.issue.title }}"
      - name: install
        run: curl https://files.example/i | bash
  call:
    uses: octo/flows/.github/workflows/x.yml@0123456789012345678901234567890123456789
    secrets: inherit
"""

ACTION = """\
name: tool
runs:
  using: composite
  steps:
    - shell: bash
      run: echo "${{ github.head_ref }}"
"""


def _change(kind, after):
    change = {"actions": ["create"], "after": after, "after_unknown": {}}
    return {"address": f"{kind}.it", "mode": "managed", "type": kind, "name": "it", "change": change}


PLAN = {
    "format_version": "1.2",
    "terraform_version": "1.9.8",
    "planned_values": {},
    "resource_changes": [
        _change("aws_s3_bucket", {"acl": "public-read", "tags": None}),
        _change("aws_ebs_volume", {"encrypted": False, "availability_zone": "ap-south-1a"}),
        _change(
            "aws_security_group",
            {"ingress": [{"cidr_blocks": ["0.0.0.0/0"], "from_port": 22, "to_port": 22, "protocol": "tcp"}]},
        ),
        _change("aws_iam_policy", {"policy": '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'}),
        _change("aws_lambda_function", {"environment": [{"variables": {"api_key": "not-a-real-one"}}]}),
    ],
}

SCORE = """\
apiVersion: score.dev/v1b1
metadata:
  name: where2eat
  annotations:
    microapps.internal/tenant: marketing
    microapps.internal/owner: marketing-lead@example.com
    microapps.internal/secondary-owner: marketing-deputy@example.com
    microapps.internal/cost-center: MK-42
    microapps.internal/template: recommendations@1.2.0
    microapps.internal/audience: team
    microapps.internal/data-classes: internal
    microapps.internal/retention: P9999D
    microapps.internal/residency: eu
    microapps.internal/runtime-class: container
    microapps.internal/timeout-ms: "5000"
    microapps.internal/storage-mib: "64"
    microapps.internal/requests-per-day: "1000"
    microapps.internal/cost-eur-per-month: "50"
    microapps.internal/egress: ""
containers:
  main:
    image: nginx:latest
    resources:
      limits:
        cpu: 500m
        memory: 4Gi
resources:
  hr:
    type: connector
    class: ftp-dump
    params:
      purpose: Everything there is.
      scopes: ["admin"]
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: web
          image: nginx
"""

_NEXT_MONTH = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
WAIVER = f"""\
apiVersion: microapps.internal/v1alpha1
kind: Waiver
metadata:
  name: old-image
spec:
  rule: RUN-004
  subject: app:where2eat
  owner: lead@example.com
  approver: compliance@example.com
  reason: The vendor moves to digests soon.
  expires: "{_NEXT_MONTH}"
"""
