# Two commands matter: `make demo` and `make test`. Each makes .venv by itself; nothing needs root.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test bench lint types contracts wheel lock clean

demo: $(VENV)/.runtime
	$(BIN)/keeper demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -n auto --maxprocesses 4 $(ARGS)

# How fast the simulation is: ratios in one run.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/simulation.py $(ARGS)

wheel: $(VENV)/.dev
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# Installing the larger set satisfies the smaller one, so `make test` then `make demo` installs once.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/pip
	test -e $(VENV)/.dev || $(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# Writes both lock files anew; hashes only, no index address. Needs uv.
lock:
	uv pip compile pyproject.toml --extra build $(LOCK) -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev $(LOCK) -o requirements-dev.lock
LOCK := --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
