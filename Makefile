# Needs make and Python 3.11 to 3.13. Everything else goes into .venv, once.
VENV   ?= .venv
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c \
    'import sys; print(sys.executable) if (3, 11) <= sys.version_info[:2] <= (3, 13) else 0' 2>/dev/null \
    | grep '^/')))
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test lint lock clean help

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

run: $(READY) ## the embedded sample from raw text to a judged SavedModel (runs/demo/report.html)
	$(BIN)/tpuline run configs/demo.yaml

test: lint ## format, lint, types and the default tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The folders map to tpuline.*, which mypy only sees when they stand under such a folder.
lint: $(READY) ## format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p $(VENV)/types/tpuline
	ln -sfn $(CURDIR)/pipeline $(CURDIR)/components $(VENV)/types/tpuline/
	MYPYPATH=$(VENV)/types $(BIN)/mypy

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; set one: make run PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON): about 3 GB, a few minutes, once."
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lock: ## renew requirements.lock (needs uv)
	uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --output-file requirements.lock --upgrade

clean: ## remove the environment and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
