# Everything runs in .venv: `make install` builds it, the other targets build it where it is missing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test thorough bench lint types clean

help:
	@echo "make install   .venv with every extra"
	@echo "make demo      port, check, evaluate, time and report three models -> build/demo/report/index.html"
	@echo "make test      lint, types, import contracts, tests"
	@echo "make thorough  the same tests at length: more models, more faults"
	@echo "make bench     benchmarks: ratios measured in one run"

install: $(VENV)/installed

# torch first and pinned: a range would take the registry's newest build, CUDA packages and all.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[all]'
	touch $@

demo: install
	$(BIN)/zooport demo -o build/demo

test: install lint types
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests --ignore tests/benchmarks --numprocesses 2 --dist loadfile

thorough: install
	$(BIN)/python -m pytest tests --ignore tests/benchmarks --numprocesses 2 --dist loadfile -m thorough

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

bench: install
	$(BIN)/python -m pytest tests/benchmarks -s

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache
