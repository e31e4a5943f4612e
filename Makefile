# Each target works as the first and only command after a clone: it makes the environment it needs.

# The first Python that will do; another one: make test PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$python && break; done)

# Rivals in `make bench-step`. Some are no longer maintained, and may not install everywhere.
RIVALS = higher==0.2.1 torchopt==0.7.3 betty-ml==0.1.1

# A process for each core; a single test: .venv/bin/python -m pytest tests/... -k name
PARALLEL = -n auto --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-min docs docs-check docs-look real lint format build bench-step bench-labels bench-check clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s%s\n", $$1, $$2}' Makefile

demo: .venv/installed ## the example of the README, on real images
	.venv/bin/python -m benchmarks.demo

test: .venv/installed ## tests and doctests, without the slow ones
	.venv/bin/python -m pytest -m "not slow" $(PARALLEL)

test-all: .venv/installed ## all tests
	.venv/bin/python -m pytest $(PARALLEL)

test-min: .venv-min/installed ## all tests, with the oldest dependencies that pyproject.toml allows
	.venv-min/bin/python -m pytest $(PARALLEL)

docs: .venv/docs ## the site, into docs/_build/html; DOCS_GALLERY=quick does not run the examples
	OMP_NUM_THREADS=1 DOCS_JOBS=2 .venv/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-check: docs ## what the pages say: code, figures, links, and that each is within reach
	.venv/bin/python -m pytest $(PARALLEL) tests/docs
	.venv/bin/python -m docs.machinery.within_reach docs/_build/html

docs-look: docs ## the site in a browser (Debian's chromium): pictures, widths, the search
	.venv/bin/python -m docs.machinery.look docs/_build/html

real: .venv/installed ## timm, transformers, peft, accelerate, Dask and Ray into the environment, for tests of these
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[real,cluster]'

lint: .venv/installed ## formatting, rules and types
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

format: .venv/installed ## reformat the code, and mend what can be mended automatically
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

build: .venv/installed ## source distribution and wheel, into dist/
	rm -rf dist
	.venv/bin/python -m build
	.venv/bin/python -m twine check --strict dist/*

bench-step: .venv-bench/installed ## time of a training step, beside other implementations
	.venv-bench/bin/python -m benchmarks.bench_step

bench-labels: .venv/installed ## which labels are wrong: scores of labels beside cleanlab's
	.venv/bin/python -m benchmarks.run label-errors --jobs 2
	.venv/bin/python -m benchmarks.report --print label-errors --preset quick

bench-check: .venv/installed ## hold the committed results to what is claimed of them
	.venv/bin/python -m benchmarks.check

clean: ## remove the environments and all that was built
	rm -rf .venv .venv-min .venv-bench build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/_build docs/api docs/gallery docs/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call install,DIRECTORY,CONSTRAINTS,EXTRAS): an environment with the checkout in it
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer, with venv, was not found: \
	make ... PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(1) (once; a minute, or longer where torch has to be downloaded)"
	$(PYTHON) -m venv $(1)
	$(2)
	$(1)/bin/python -m pip install --quiet -c $(1)/constraints.txt -e '.[$(3)]' $(or_say)
endef

# After a command of pip, which does not say what to do
or_say = || { echo "This needs a package index once (PyPI, or PIP_INDEX_URL), to install what \
	pyproject.toml names; afterwards it needs no network." >&2; exit 1; }

.venv/installed: pyproject.toml constraints.txt
	$(call install,.venv,cp constraints.txt .venv,dev)
	@touch $@

.venv/docs: .venv/installed
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[docs]' $(or_say)
	@touch $@

.venv-min/installed: pyproject.toml
	$(call install,.venv-min,sed -n 's/.*"\([a-z][a-z-]*\)>=\([0-9.]*\)".*/\1==\2/p' pyproject.toml > .venv-min/constraints.txt,test)
	@touch $@

.venv-bench/installed: pyproject.toml constraints.txt
	$(call install,.venv-bench,cp constraints.txt .venv-bench,demo)
	# betty-ml's metadata is refused by newer versions of pip
	.venv-bench/bin/python -m pip install --quiet 'pip<24.1'
	@for rival in $(RIVALS); do .venv-bench/bin/python -m pip install --quiet -c constraints.txt \
	$$rival || echo "not installed: $$rival"; done
	@touch $@
