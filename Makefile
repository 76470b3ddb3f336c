# Bare `make` lists the targets. `make demo` and `make test` do all the set-up themselves.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
OUT    := out
SAMPLES ?= synthetic=
# Tests run in as many processes as there are cores, up to 4: each has up to 1 GB of memory. WORKERS=0 is this process.
WORKERS ?= logical
PARALLEL := --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal
# With the bytecode of the tests, of which pytest rewrites the assertions, kept: without, that takes seconds a process.
TESTS   = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,\
            $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
COMPILE = $(BIN)/python -m compileall -q longexpo_cli
DEMOS  := $(patsubst sample_bursts/%/recipe.toml,%,$(wildcard sample_bursts/*/recipe.toml))

.DEFAULT_GOAL := help
.PHONY: help setup hooks demo quick test coverage check sizes docs man golden bench samples wheel train-test clean

help:
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY) ## make .venv and install longexpo and its tools into it

# Bytecode as pip makes it of what it copies: without it, where Python does not write it, a start takes twice as long.
$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "longexpo needs Python 3.11 or newer; say where with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(COMPILE)
	@touch $@

hooks: $(READY) ## check every commit before git makes it (pre-commit)
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

demo: $(READY) ## render every sample burst into out/
	@mkdir -p $(OUT)
	@set -e; for name in $(DEMOS); do \
	  $(BIN)/longexpo render sample_bursts/$$name --recipe sample_bursts/$$name/recipe.toml -o $(OUT) --overwrite; \
	done
	@echo "The long exposures are in $(OUT)/: open the .jpg files; .tif is HDR, .json records how each was made."

quick: $(READY) ## run the tests that take little time (half a minute)
	$(COMPILE)
	$(TESTS) $(PARALLEL) -m 'not slow and not long'

test: check ## run the checks, then every test
	$(COMPILE)
	$(TESTS) $(PARALLEL) --ignore tests/test_house.py

coverage: $(READY) ## run every test and report the lines that none executes
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage report

check: $(READY) ## lint, format, types, import contracts, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS) tests/test_house.py

sizes: $(READY) ## report lines and tokens a line of every file
	$(BIN)/python -m benchmarks.sizes

docs: $(READY) ## update the README's table of options, the man pages and docs/stages.md
	$(BIN)/python -m docs.options_table
	$(BIN)/python -m docs.man_pages
	$(BIN)/python -m docs.stages_page

man: $(READY) ## update the man pages in docs/man alone
	$(BIN)/python -m docs.man_pages

golden: $(READY) ## compare the sample bursts with their golden renders
	$(BIN)/python -m pytest tests/golden -m 'slow or not slow'

bench: $(READY) ## measure quality, seconds and memory into benchmarks/RESULTS.md
	$(BIN)/python -m pytest tests/test_memory.py -m slow
	$(BIN)/python -m benchmarks --write

samples: $(READY) ## recreate sample bursts: make samples SAMPLES='traffic=clip.mp4'
	$(BIN)/python -m benchmarks.make_samples $(SAMPLES)

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

train-test: $(READY) ## test training/; needs pip install '.[train]' in .venv
	$(BIN)/python -m pytest training/tests

clean: ## remove the venv and all outputs
	rm -rf $(VENV) $(OUT) build dist
