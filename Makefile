PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUT ?=
OUT ?= $(if $(INPUT),runs/baseline,runs/sample)
RECIPE ?= $(if $(INPUT),baseline,sample)
WORKERS ?= 0
ON ?= local
ARGS ?=
PYTHONS ?=
SAMPLE := runs/sample-crawl

.DEFAULT_GOAL := help
.PHONY: help install install-dev engines readers vectors browser faults baseline test slow coverage pythons test-python lint types check docs bench format clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16
	@echo
	@echo "make baseline INPUT='crawl/*.warc.gz' OUT=runs/first RECIPE=baseline WORKERS=8 ARGS='--skip decontaminate'"
	@echo "make baseline INPUT=crawl/warc.paths.gz OUT=/shared/first ON=slurm ARGS='--with partition=cpu'     (docs/clusters.md)"

install: $(VENV)/.installed  ## Install goldwash and its dependencies into .venv
install-dev: $(VENV)/.installed-dev  ## Install the tests' dependencies, too

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "goldwash needs Python 3.11 or newer; found $$($(PYTHON) --version). Give PYTHON=python3.12, for one."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.installed-ray: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[ray]'
	@touch $@

# INPUT is one name, which may have spaces, if such a file or glob exists; otherwise it is several names. OUT may have spaces too.
# Exported to this target alone: in the environment of `make test` they would be the defaults of every make that a test starts.
baseline: export INPUT := $(INPUT)
baseline: export OUT := $(OUT)
baseline: export RECIPE := $(RECIPE)
INPUTS := set -f; set -- "$$INPUT"; IFS=; set +f; for each in $$INPUT; do test -e "$$each" && found=1; done; unset IFS; set -f; \
	test -n "$$found" || set -- $$INPUT

baseline: install $(if $(filter ray,$(ON)),$(VENV)/.installed-ray)  ## Run the baseline: on the built-in sample crawl, or on INPUT='crawl/*.warc.gz'
ifeq ($(INPUT),)
	@$(BIN)/goldwash sample $(SAMPLE)
	@$(BIN)/goldwash run "$$RECIPE" --input $(SAMPLE)/crawl --out "$$OUT" --on $(ON) --workers $(WORKERS) $(ARGS)
else
	@$(INPUTS); $(BIN)/goldwash run "$$RECIPE" --input "$$@" --out "$$OUT" --on $(ON) --workers $(WORKERS) $(ARGS)
endif
	@echo "the command line is $(BIN)/goldwash (or put $(BIN) on your PATH)"

test: install-dev  ## Run all tests except the slow ones
	$(BIN)/pytest -n 2 --dist loadgroup -m 'not slow'

slow: install-dev  ## Run the slow tests: clusters, bounds of kernels, the wheel, the long examples
	$(BIN)/pytest -n 2 --dist loadgroup -m slow

coverage: install-dev  ## Run `make test` with line and branch coverage (floor: pyproject.toml)
	$(BIN)/pytest -n 2 --dist loadgroup -m 'not slow' --cov --cov-report=term:skip-covered

pythons: install-dev  ## Install the wheel with each installed Python from 3.11 on, and run the sample with it
	$(BIN)/python -m tests.pythons $(PYTHONS)

engines: install-dev  ## Install the dependencies of cluster and store tests: Ray, a local S3 server and, with apt-get as root, Slurm
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[engines]'
	command -v slurmctld sbatch > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client; }

readers: install-dev  ## Install the training stacks' readers, and encoders, for tests (torch for CPUs; nothing of CUDA)
	$(BIN)/pip install --quiet --disable-pip-version-check 'torch==2.13.0+cpu' \
		|| $(BIN)/pip install --quiet --disable-pip-version-check 'torch==2.13.0+cpu' --index-url https://download.pytorch.org/whl/cpu
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r tests/readers.txt

vectors: $(VENV)/vectors/.unpacked  ## Unpack html5lib's test vectors, which no wheel carries

$(VENV)/vectors/.unpacked: | $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --disable-pip-version-check 'setuptools<81' wheel
	mkdir -p $(@D)
	$(BIN)/pip download --quiet --no-deps --no-build-isolation --no-binary html5lib-modern --dest $(@D) html5lib-modern==1.2
	tar -xzf $(@D)/html5lib_modern-1.2.tar.gz -C $(@D)
	touch $@

browser: install-dev  ## Install what tests of the report page need: Playwright, axe-core with npm and, with apt-get as root, chromium
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[browser]'
	@command -v chromium chromium-browser google-chrome > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation; } || echo "chromium cannot be installed here: tests in a browser will skip"
	@test -e $(VENV)/browser/node_modules/axe-core || npm install --silent --no-audit --no-fund --prefix $(VENV)/browser axe-core || echo "axe-core cannot be installed here: its tests will skip"

faults: engines  ## Kill drivers and workers at random moments, on every engine, and compare bytes (15 minutes)
	$(BIN)/python -m tests.faults

test-python: install-dev  ## Run the kernels' tests without the JIT (slow): for debuggers and bounds errors
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -n 2 tests/filters tests/classifiers

lint: install-dev  ## Check style and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

types: install-dev  ## Check types
	$(BIN)/mypy

check: lint types test  ## Style, types and the tests that are not slow

docs: install-dev  ## Build the documentation site into build/site
	$(BIN)/python docs/generate.py
	$(BIN)/zensical build --strict --clean

bench: install-dev  ## Measure speed and memory beside other tools, and write BENCHMARKS.md and docs/benchmarks.md (half an hour)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m tests.bench

format: install-dev  ## Fix style and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove runs, builds and caches (not .venv)
	rm -rf runs build dist *.egg-info src/*.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
