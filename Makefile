# make demo: the paper's story in minutes. make test: everything that CI runs. Both set the machine up first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint campaign clean

demo: .venv/ready
	$(BIN)/python examples/demo.py

test: .venv/ready lint
	$(BIN)/python -m pytest -q --durations=5

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Kills, full disks, hostile files and options: docs/reliability.md. An hour or two.
campaign: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/reliability/all.py

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo
