# Every target does its own set-up: a fresh clone needs Python 3.11 or later, and either Go or access to OPA's releases.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools/bin
READY := $(VENV)/.ready

# Nothing that the product depends on phones home.
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export RAY_USAGE_STATS_ENABLED := 0
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Test files run side by side, one worker a core up to this many; JOBS=0 runs them one after the other in one process.
JOBS ?= 4
WORKERS := -n $(if $(filter 0,$(JOBS)),0,logical --maxprocesses=$(JOBS) --max-worker-restart=0)

# A test of real servers may lose a race for two cores. What passes the second time only is named at the end; what fails
# twice is tried in a process of its own, with servers of its own, before it counts.
AGAIN := --cache-clear --reruns 1 --reruns-delay 2 -r aR
ALONE := -n 0 --last-failed --last-failed-no-failures none --maxfail=3

SOURCES := controlplane adapters evaluation benchmarks monitoring examples tests

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages (a few minutes the first time; torch is large) ..."
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --progress-bar off --constraint constraints.txt \
		--editable '.[demo,evaluation,postgres,evm,attest,integrity,privacy]' --group dev \
		| awk '/Downloading .* [MG]B\)/ { print; fflush() }'
	@touch $@

.PHONY: setup
setup: $(READY) ## Python environment and Open Policy Agent
	@$(BIN)/python -m controlplane.sidecar.install --or-embedded

.PHONY: tools
tools: $(READY)
	@$(BIN)/python -m controlplane.sidecar.install --regal

.PHONY: run
run: setup ## The guarded federation, start to end: about three minutes once installed
	@$(BIN)/ztfm demo

.PHONY: serve
serve: setup ## A control plane with its OPA sidecar, until Ctrl-C
	@$(BIN)/ztfm serve

.PHONY: check
check: tools ## Linters, types, floors, docstrings
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet controlplane adapters evaluation benchmarks monitoring

.PHONY: test
test: check ## Everything that must hold: linters, types, Rego tests, Python tests
	$(BIN)/pytest $(WORKERS) $(AGAIN) --durations=25 || { test $$? -eq 1 && $(BIN)/pytest $(ALONE); }

.PHONY: test-backends
test-backends: setup ## Backends whose pins are not ours, each in an environment of its own
	@$(BIN)/python -m tests.backends

.PHONY: coverage
coverage: setup ## The Python tests once more, and which lines none of them runs
	$(BIN)/pytest $(WORKERS) --cov --cov-report=term:skip-covered

.PHONY: bench
bench: setup ## Every figure that we promise, measured beside its bar; goes on with: make bench BENCH=--resume
	@$(BIN)/python -m benchmarks $(BENCH)

.PHONY: evaluate
evaluate: setup ## Attacks against defences on two tasks; goes on where it was stopped
	@$(BIN)/ztfm evaluate --document docs/evaluation.md $(EVALUATE)
	@$(BIN)/python -m evaluation.coverage --document docs/ztfm-coverage.md

.PHONY: audit
audit: $(READY) ## A bill of materials, and what is known against the pins
	@$(BIN)/python -m tests.supplychain bill --extras demo postgres --out build/sbom.json
	@test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && build/audit/bin/python -m pip install --quiet pip-audit; }
	@$(BIN)/python -m tests.supplychain audit --program build/audit/bin/pip-audit

.PHONY: schemas
schemas: $(READY) ## Write the JSON Schemas of the policies' inputs anew
	@$(BIN)/python -m controlplane.contracts.schemas --out policies/schemas/input

.PHONY: compiled
compiled: setup ## Compile what is shipped for machines without OPA anew, after a change to policies/ or opa/layers.rego
	@$(BIN)/python -m controlplane.releases.compiled

.PHONY: lock
lock: ## Write constraints.txt anew from the newest versions that fit
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@build/lock/bin/python -m pip install --quiet 'torch==2.13.0' --editable '.[demo,evaluation,postgres,evm,attest,integrity,privacy]' --group dev
	@{ sed -n '/^#/p' constraints.txt; build/lock/bin/python -m pip freeze --exclude-editable; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/lock

.PHONY: clean
clean: ## Remove what was built, not what was installed
	@rm -rf build dist reports .coverage htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
