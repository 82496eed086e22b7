# `make help` says what there is. Everything happens in .venv; nothing is installed beside it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup run test check docs bench faults lock clean

BIN := .venv/bin
READY := .venv/.ready
# Twice as many as cores: half of the time a test waits for a disk or a database.
WORKERS ?= $(shell echo $$(( $$(nproc) * 2 )))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1

# The first Python that runs, is new enough and can make environments; PYTHON=... names one.
define find_python
found=; \
for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
done; \
if [ -z "$$found" ]; then \
    echo "Tocsin needs Python 3.11 or newer with its venv module, and none was found (python3 is" \
        "$$(python3 --version 2>/dev/null || echo missing)). Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
    exit 1; \
fi
endef

# $(call install,LOCK): an environment with exactly what the lock file holds, and the package itself, editable.
define install
@$(find_python); \
if ! $(BIN)/python -c 'import pip' 2>/dev/null; then echo "Making .venv with $$found"; $$found -m venv --clear .venv; fi; \
echo "Installing $(1)"; \
$(BIN)/python -m pip install --quiet --require-hashes -r $(1); \
$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endef

help:  ## Say what there is
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY)  ## Make .venv with everything that running, testing and checking need

$(READY): requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $@

# Running needs less than testing: an environment that is there already serves, whichever it is.
$(BIN)/tocsin:
	$(call install,requirements.lock)

run: | $(BIN)/tocsin  ## Play an outage of a small shop against a fresh server, and leave the server up
	@$(BIN)/tocsin demo

test: $(READY)  ## Run all tests, on SQLite and PostgreSQL (which comes with the environment)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal

check: $(READY)  ## What every change must pass, in under a minute: lint, types, imports, unit tests, rules of the house
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/unit tests/rules -n $(WORKERS)
	@$(BIN)/python tools/longest.py src/tocsin

docs: $(READY)  ## Bring the generated parts of docs/ up to date with the code
	@$(BIN)/python tools/refresh_docs.py

bench: $(READY)  ## Measure, each figure beside its limit from the same run; BENCH=--help says what may be chosen
	@$(BIN)/python benchmarks/run_all.py $(BENCH)

faults: $(READY)  ## The tests that kill, fill and cut things, more often than `make test` does
	@TOCSIN_FAULT_ROUNDS=$${TOCSIN_FAULT_ROUNDS:-100} $(BIN)/pytest tests/faults -o faulthandler_timeout=3600

lock: | $(READY)  ## Resolve the dependencies again, into lock files with hashes and without addresses
	@$(find_python); \
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$$found -m venv "$$scratch/uv"; \
	"$$scratch/uv/bin/python" -m pip install --quiet 'uv>=0.13,<0.14'; \
	for pair in build:requirements.lock dev:requirements-dev.lock; do \
	    "$$scratch/uv/bin/uv" pip compile pyproject.toml --quiet --extra postgres --group "$${pair%%:*}" --universal \
	        --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url -o "$${pair#*:}"; \
	done

clean:  ## Remove caches and build results; .venv and data folders stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis build dist
	@find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
