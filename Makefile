# One command per need; each target does the set-up first where it is missing. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# Every test of a door starts processes; without compiled modules each start takes twice the CPU.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-kube demo-kube check fix bench fuzz conformance serve clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(STAMP) ## .venv from requirements.lock, hashes checked

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv"; exit 2; }
	@$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup ## the main job, in words: refused, fixed, allowed, exported, verified
	@$(BIN)/governance demo

test: setup ## the tests (under ten minutes on two cores)
	@$(BIN)/python -m pytest

test-all: setup ## the tests and the heavy ones (kill -9 in the hundreds, large logs)
	@$(BIN)/python -m pytest -m 'not kube'

test-kube: setup ## the webhook behind a real kube-apiserver (needs Go and Debian's etcd-server)
	@$(BIN)/python tests/kube/build.py
	@$(BIN)/python -m pytest -n 0 -m kube tests/kube

demo-kube: setup ## the same webhook in kubectl's words: refused, mutated and admitted, killed and still refused
	@$(BIN)/python tests/kube/build.py
	@$(BIN)/python tests/kube/demo.py

check: setup ## lint, formats, types, import contracts, lint of the rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/governance rules lint
	@$(BIN)/governance rules test

fix: setup ## format and mend what can be mended mechanically
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: setup ## ratios against the peers, paired in one run
	@$(BIN)/python tests/benchmarks/bench.py
	@$(BIN)/python tests/benchmarks/scanning.py
	@$(BIN)/python tests/benchmarks/gateway.py
	@$(BIN)/python tests/benchmarks/runtime.py
	@$(BIN)/python tests/benchmarks/broker_cost.py
	@$(BIN)/python tests/benchmarks/evidence.py --records 50000

fuzz: setup ## 100,000 broken AdmissionReviews: no worker dies, no yes without a decision on record
	@$(BIN)/python tests/fuzz/run.py

conformance: setup ## OPA's public conformance cases and Kubernetes' Pod Security fixtures, where Go is present
	@$(BIN)/python tests/conformance/run.py
	@$(BIN)/python tests/conformance/pod_security.py

serve: setup ## API and health on loopback without sign-in, for trying out
	@$(BIN)/governance serve --dev

clean: ## remove what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
