# make demo: the paper's story in minutes. make test: everything that CI runs.
# make test-all: the slow tests too. make docs: the site. Each sets the machine up first.
PYTHON ?= python3
BIN := .venv/bin

# one process of tests per core, each of one thread: most tests start things and compute little
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test test-all lint docs campaign clean

demo: .venv/ready
	$(BIN)/python examples/demo.py

test: .venv/ready lint
	$(TESTS) -m "not slow" --durations=10

test-all: .venv/ready lint
	$(TESTS) --durations=20

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# into site/, which any server of files shows: python -m http.server -d site
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Kills, full disks, hostile files and options, load: docs/reliability.md. Half an hour or more.
campaign: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/reliability/all.py

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[dev,docs,heif,plots,tensorboard]"
	touch $@

clean:
	rm -rf .venv demo site
