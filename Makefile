# Everything that a change needs, with the names that CI uses too.

PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
# cython-lint starts pycodestyle by name, from beside it.
BIN := $(shell $(PYTHON) -c 'import sys; print(sys.prefix)')/bin
export PATH := $(BIN):$(PATH)
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help build check check-deep lint types test bench bench-smoke docs docs-check fuzz clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## compile the modules in place (needs cython, setuptools and lark)
	$(PYTHON) setup.py -q build_ext --inplace

check: lint types test ## what must be green before a change is handed in

lint: ## check the style of Python and Cython
	ruff check .
	cython-lint dmaverify

types: ## check the types of the package
	mypy

test: ## run the tests
	$(PYTHON) -m pytest

check-deep: ## run the tests on a build with bounds checks and UBSan
	DMAVERIFY_DEBUG=1 $(PYTHON) setup.py -q build --build-base build/deep --build-lib build/deep/lib
	PYTHONPATH=$(CURDIR)/build/deep/lib $(PYTHON) -m pytest

bench: ## measure the speed of the parts, of whole runs, memory and start-up
	$(PYTHON) -m pytest tests/bench --benchmark-only --benchmark-enable
	$(PYTHON) -P tests/bench/whole_runs.py

bench-smoke: ## run the benches once with small sizes: do they work?
	$(PYTHON) -m pytest tests/bench --benchmark-only --benchmark-enable --benchmark-min-rounds=1 --benchmark-max-time=0.1 --benchmark-warmup=off
	$(PYTHON) -P tests/bench/whole_runs.py --events 20000 --rounds 1

docs: ## write the generated pages again
	$(PYTHON) docs/generate.py

docs-check: ## do the generated pages agree with the code?
	$(PYTHON) docs/generate.py --check

fuzz: ## throw damaged input at readers and rule parser for FUZZ_SECONDS each
	DMAVERIFY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) -m pytest tests/fuzz

clean: ## remove what was built
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find dmaverify -name '*.so' -delete
