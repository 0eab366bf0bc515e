# Needs make and Python 3.11 or newer; everything else goes into .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
LOG := $(VENV)/install.log
NODE_STAMP := node_modules/.complete
STATE := .order-engine
MIN_PYTHON := 3.11
XDIST ?= 4
UV ?= uv
LOCK := $(UV) pip compile --quiet --universal --python-version $(MIN_PYTHON) --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

# The first of these that is new enough; PYTHON=… decides otherwise.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

.PHONY: help
help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: run
run: $(STAMP) ## the engine, with a Postgres and a Redis of its own unless DATABASE_URL and REDIS_URL are set
	@exec $(BIN)/order-engine run $(ARGS)

.PHONY: test
test: $(STAMP) $(NODE_STAMP) ## the tests, on real servers; ARGS="tests/dev -k restart" chooses
	@[ -w . ] || export HYPOTHESIS_STORAGE_DIRECTORY="$$(mktemp -d)"; \
		exec $(BIN)/python -m pytest -p no:cacheprovider -q -n $(XDIST) --dist worksteal $(ARGS)

.PHONY: faults
faults: $(STAMP) ## break processes, servers and network for an hour, half of it a soak (SOAK_MINUTES=…), and write docs/reliability.md; SEED=… replays
	@results="$$(mktemp -d)"; FAULTS="$${FAULTS:-full}" FAULTS_RESULTS="$$results" TMPDIR="$${TMPDIR:-/tmp}" \
		$(BIN)/python -m pytest -p no:cacheprovider -v tests/faults $(ARGS); code=$$?; \
		$(BIN)/python -m tests.faults.reliability "$$results" $(if $(ARGS),/dev/stdout,docs/reliability.md); \
		rm -rf "$$results"; exit $$code

.PHONY: bench
bench: $(STAMP) ## the figures of docs/performance.md, measured here; ARGS="--rows accept,e2e --secs 5" chooses
	@exec $(BIN)/python -m bench $(ARGS)

.PHONY: bench-server
bench-server: $(STAMP) ## the engine without delays and limits, where bench/orderbench.toml says, until Ctrl-C
	@exec $(BIN)/python -m bench.server

.PHONY: screenshots
screenshots: $(STAMP) ## the console's pictures in docs/images anew, in Chromium, of an engine that trades for some minutes
	@exec $(BIN)/python -m tests.console.screenshots docs/images

.PHONY: check
check: $(STAMP) ## format, lint, types, direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## the source in its one layout
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lock
lock: ## both lock files anew, as new as pyproject.toml allows (needs uv)
	@$(LOCK) --upgrade --output-file requirements.lock pyproject.toml
	@$(LOCK) --upgrade --constraint requirements.lock --extra embedded --extra bench --extra dev --output-file requirements-dev.lock pyproject.toml

.PHONY: reset
reset: ## delete the data of the servers that `make run` starts
	@$(PYTHON) -m app.dev.state $(STATE)

.PHONY: clean
clean: ## delete what was built; the data stay
	@rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find app migrations tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is the last thing made, so an installation that was interrupted is begun again from nothing.
$(STAMP): requirements-dev.lock pyproject.toml
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "No Python $(MIN_PYTHON) or newer found; install one, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@echo "Preparing $(VENV) (once; about a minute) …"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -m pip install --require-hashes -r requirements-dev.lock \
		&& $(BIN)/python -m pip install --no-deps --no-build-isolation -e .; } >$(LOG) 2>&1 \
		|| { cat $(LOG) >&2; echo "The installation failed; the log above says why." >&2; exit 1; }
	@touch $@

.PHONY: node_modules
node_modules: $(NODE_STAMP)

# newman, for the tests that run the Postman collection, and axe-core, for those of the console. Without them these are
# skipped and say so; with CI=true they fail.
$(NODE_STAMP): package-lock.json
	@if command -v npm >/dev/null && [ -w . ]; then \
		echo "Preparing node_modules (once; half a minute) …"; \
		log="$$(mktemp)"; \
		if npm ci --ignore-scripts >"$$log" 2>&1; then touch $@; \
		else cat "$$log" >&2; rm -rf node_modules; echo "npm ci failed; the Postman collection and the console's accessibility are not tested." >&2; fi; \
		rm -f "$$log"; \
	fi
