# Everything a machine needs is installed by these targets, into .venv and nowhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Files of tests side by side, a process a core; threads that wait shall not keep the others from working.
SIDE_BY_SIDE := OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile
# A docstring may leave out an argument, but not document one that does not exist; the same for what a function raises
# and returns. These are preview rules, and `preview` in pyproject.toml would change other rules too.
DOCSTRINGS := DOC102,DOC202,DOC403,DOC501,DOC502
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install bench test test-fast check format benchmark docs clean

install: $(VENV)/.installed

bench: install
	$(BIN)/vitrail bench --out runs/digits

test: $(VENV)/.dev
	$(SIDE_BY_SIDE) -m "not cluster"
	$(BIN)/python -m pytest -m cluster

test-fast: $(VENV)/.dev
	$(SIDE_BY_SIDE) -m "not slow"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select $(DOCSTRINGS) src examples
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src tests benchmarks examples
	$(MAKE) --no-print-directory docs

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	git diff --exit-code --stat -- docs/reference
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

benchmark: $(VENV)/.dev
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable ".[openvino]"
	touch $@

# torchvision has no CPU build of its own: without its dependencies it matches the torch that is there.
# moto, the S3 server of the tests, needs an older python-dateutil than ours, so it lives apart.
$(VENV)/.dev: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable ".[openvino,int8,cluster,dev]"
	$(PIP) install --constraint constraints.txt --no-deps torchvision timm
	test -x $(VENV)/moto/bin/python || $(PYTHON) -m venv $(VENV)/moto
	$(VENV)/moto/bin/python -m pip --disable-pip-version-check --quiet install --requirement tests/data/sources/moto.txt
	touch $@

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
