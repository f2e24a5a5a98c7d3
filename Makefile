# A fresh machine needs Python 3.11+ and make; everything else is installed here.
PYTHON ?= python3
# Any torch build that imports is kept; name another build with `make setup TORCH=torch==2.14.1`.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.isoglot-installed
# Where `make dist` installs what it built.
CLEAN := build/clean
export HF_HUB_OFFLINE ?= 1

.PHONY: setup quickstart test test-faults test-scale check fix docs dist

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'isoglot needs Python 3.11 or newer; name one with make PYTHON=...')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip  # the one that comes with Python takes twice as long to choose
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install --quiet --no-compile "$(TORCH)"
	$(BIN)/python -m pip install --quiet --no-compile --editable ".[all,dev]"
	$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true  # as pip would, but on all cores
	touch $@

quickstart: setup
	$(BIN)/isoglot quickstart

# Tests wait for servers and for processes that they start and kill: three at a time keep two cores busy.
test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal

# Workers and machines that are killed while they work; a quarter of an hour.
test-scale: setup
	$(BIN)/python -m pytest -m scale

# Of these what takes half a minute: an object store behind a network that refuses requests and loses answers.
test-faults: setup
	$(BIN)/python -m pytest -m scale -k network tests/search/test_seaweedfs.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/pictures/rooms.py --check

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/pictures/rooms.py

# A static site in build/site; a broken link, a missing page or a docstring that does not parse fails.
docs: setup
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . build/site

dist: setup
	rm -rf dist $(CLEAN)
	$(BIN)/python -m build --quiet
	$(PYTHON) -m venv $(CLEAN)
	$(CLEAN)/bin/python -m pip install --quiet "$(TORCH)"
	$(CLEAN)/bin/python -m pip install --quiet dist/*.whl
	$(CLEAN)/bin/python tests/smoke_dist.py
