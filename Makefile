# These targets install everything that a machine needs: into .venv, and `make browser` Debian's Chromium.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test files run in parallel, one process and one thread of torch per core; waiting threads must not occupy a core.
# tests/conftest.py puts long files first. xdist would reorder by the number of tests, which puts them last.
PARALLEL := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest \
	--numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# A docstring may leave out an argument, a return or a yield, but not document one that does not exist. One of several
# lines names every error that its function raises itself; it may name those of callees too, so DOC502 is left out.
# These are preview rules, and `preview` in pyproject.toml would change other rules too.
DOCSTRINGS := DOC102,DOC202,DOC403,DOC501
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install browser bench test test-fast check format benchmark docs refresh clean

install: $(VENV)/.installed

# For the tests marked `browser`, which skip without it. Needs Debian or Ubuntu with a `chromium` package, and root.
browser:
	command -v chromium || { apt-get -q update && apt-get -q install --yes --no-install-recommends chromium; }

bench: install
	$(BIN)/vitrail bench --out runs/digits

# The tests marked `cluster` run alone. Only their files are collected: to collect all takes 14 s.
test: $(VENV)/.dev
	$(PARALLEL) -m "not cluster"
	$(BIN)/python -m pytest -m cluster $$(grep -rlw mark.cluster tests)

test-fast: $(VENV)/.dev
	$(PARALLEL) -m "not slow"

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
	git status --short -- docs/reference  # generated: what is listed here has to be committed
	test -z "$$(git status --porcelain -- docs/reference)"
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# Renews what the README, the tutorial and the pages about Python, the deck and published figures print, and their pictures. Needs ../shared
# and Chromium.
refresh: $(VENV)/.dev
	$(BIN)/python -m docs.refresh

benchmark: $(VENV)/.dev
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable ".[openvino]"
	touch $@

# torchvision has no CPU build of its own: without its dependencies it matches the torch that is there.
# axe-playwright-python is taken for the axe-core in it alone.
# moto, the S3 server of the tests, needs an older python-dateutil than ours, so it lives apart.
$(VENV)/.dev: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable ".[openvino,int8,cluster,export,serve,dev]"
	$(PIP) install --constraint constraints.txt --no-deps torchvision timm axe-playwright-python
	test -x $(VENV)/moto/bin/python || $(PYTHON) -m venv $(VENV)/moto
	$(VENV)/moto/bin/python -m pip --disable-pip-version-check --quiet install --requirement tests/data/sources/moto.txt
	touch $@

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
