.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench lock
ARGS ?=

help: ## what can be made here
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the locked packages and .venv/bin/croft; quick when nothing changed
	@scripts/setup

run: setup ## serve ./var on http://127.0.0.1:3862
	@exec .venv/bin/croft run $(ARGS)

test: ## run all tests, quick ones first, side by side; ARGS go to pytest: make test ARGS='tests/base -x'
	@scripts/setup dev
	@scripts/test-needs
	@# One more than there are cores: tests wait for other processes half of their time.
	@exec .venv/bin/python -m pytest --numprocesses=$$(($$(nproc) + 1)) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(ARGS)

check: ## format, lint, types, direction of imports
	@scripts/setup dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/architecture

format: ## put the code into its form and mend what ruff can mend
	@scripts/setup dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: ## measure beside the peers, prints ratios; ARGS choose the works
	@scripts/setup dev
	@exec .venv/bin/python -m benchmarks $(ARGS)

lock: setup ## pin every package anew from pyproject.toml; ARGS=--upgrade takes the newest
	scripts/lock $(ARGS)
