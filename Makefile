# Salus: `make help` lists what there is. Every target works on a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2
ARGS ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# ── set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────────
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Salus needs Python 3.11 or later; set PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tools/debian.sh python3-venv "to make the virtual environment .venv"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.kms: requirements/kms.txt $(VENV)/.run
	$(PIP) --require-hashes -r requirements/kms.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.kms
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# The editable install builds them too; this catches up with what has changed since.
.PHONY: assets
assets: $(VENV)/.run ## what the pages are made of, from npm (only what has changed)
	@$(BIN)/python build_assets.py

.PHONY: setup
setup: $(VENV)/.dev assets ## make .venv with everything for development

# ── the main job ─────────────────────────────────────────────────────────────────────────────────────────────────────
.PHONY: demo
demo: $(VENV)/.run assets $(if $(findstring openbao,$(ARGS)),$(VENV)/.dev) ## a clinic of invented patients on https://localhost:8443 (ARGS="--patients 200 --port 9443")
	$(BIN)/salus demo $(ARGS)

# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────────
.PHONY: lint
lint: $(VENV)/.dev ## style and security rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.dev ## strict types
	$(BIN)/mypy

.PHONY: contracts
contracts: $(VENV)/.dev ## which room may import which
	$(BIN)/lint-imports --no-logo

.PHONY: pytest
pytest: $(VENV)/.dev assets ## tests only (ARGS="-k attack")
	@command -v curl >/dev/null || tools/debian.sh curl "a test runs the tour of the README"
	@command -v softhsm2-util >/dev/null || tools/debian.sh softhsm2 "the PKCS#11 key provider is tried against a soft HSM" || true
	@command -v chromium >/dev/null || tools/debian.sh chromium "the pages are looked at in a real browser" || true
	@tests/clients/install.sh
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not deep" $(ARGS)

.PHONY: test
test: lint types contracts pytest ## everything that a change must pass

.PHONY: test-deep
test-deep: $(VENV)/.dev ## long fuzzing, soak and kill loops; properties with examples that nobody has tried before
	$(BIN)/pytest -m "deep or hypothesis" --hypothesis-profile random $(ARGS)

# ── measuring ────────────────────────────────────────────────────────────────────────────────────────────────────────
.PHONY: bench
bench: $(VENV)/.dev ## import, create, read and search over TLS, with everything on and with parts replaced by nothing
	@command -v wrk >/dev/null || tools/debian.sh wrk "the load generator of the benchmark"
	$(BIN)/python -m bench $(ARGS)

# ── keeping house ────────────────────────────────────────────────────────────────────────────────────────────────────
.PHONY: format
format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: $(VENV)/.dev ## pin the requirements anew, with hashes
	for name in run build kms dev; do \
	  $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	    --strip-extras --allow-unsafe --output-file requirements/$$name.txt requirements/$$name.in; done

.PHONY: clean
clean: ## remove what the targets made (not your data)
	rm -rf tests/clients/node_modules src/salus/web/static $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
