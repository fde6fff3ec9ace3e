.DEFAULT_GOAL := help
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup lock eels format check lint types layers unit pyright web test nightly bench wheel clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv from the locked requirements
	./scripts/setup

lock: ## compile requirements/*.in into hashed lock files (needs uv)
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header requirements/test.in -o requirements/test.txt
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header requirements/run.in -c requirements/test.txt -o requirements/run.txt
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header requirements/eels.in -o requirements/eels.txt

eels: ## make .eels-venv, the execution specification as a second judge
	test -d .eels-venv || python3 -m venv .eels-venv
	.eels-venv/bin/pip install -q --no-deps --require-hashes -r requirements/eels.txt

format: ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only -q .

check: lint types layers unit ## format, lint, types, layers, unit and house tests (under a minute)

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest -q -n 2 -m "not slow and not nightly" tests/unit tests/house

pyright: ## strict types of the pure packages, by a second checker (after scripts/setup-peers)
	tests/peers/node_modules/.bin/pyright

web: ## lint, types and tests of clients/web (after scripts/setup-web)
	cd clients/web && npm run --silent check

test: ## everything CI runs
	./scripts/test

nightly: ## deep simulation seeds, full fixtures, long properties
	$(BIN)/pytest -m nightly tests

bench: ## measure and record in tests/bench/results
	$(BIN)/python -m tests.bench

wheel: ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what was built
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
