# Every target sets up what it needs; only Python 3.11+, make and the package registries are assumed.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
.DEFAULT_GOAL := help
.PHONY: help setup run test check docs bench validate clean

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.python: requirements.txt pyproject.toml
	@echo "[1/3] Python packages into .venv/ (first time: a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.assets: package.json package-lock.json portal/web/assets.py | .venv/.python
	@echo "[2/3] fonts, icons and htmx from their npm packages"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(BIN)/python -m portal.web.assets
	@touch $@

.venv/.clients: tests/contracts/node/package.json tests/contracts/node/package-lock.json | .venv/.python
	@echo "      other people's OAuth and SMART clients, for the contract tests"
	@npm ci --prefix tests/contracts/node --legacy-peer-deps --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

setup: .venv/.python .venv/.assets ## install everything into .venv/

build/docs/.built: mkdocs.yml $(shell find docs -type f) portal/cli.py portal/gateway/verdicts.py $(wildcard portal/products/data/*.toml) .venv/.assets
	@echo "[3/3] documentation, Persian and English"
	@$(BIN)/python docs/build.py
	@touch $@

docs: setup build/docs/.built ## build the documentation into build/docs

run: setup build/docs/.built ## serve Gozar on 127.0.0.1 (PORT=8000), with demo data
	@$(BIN)/gozar serve --port $(PORT)

check: setup ## lint, types and import directions
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

test: setup check .venv/.clients build/docs/.built ## everything that must be green
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not browser"
	@$(BIN)/python -m pytest -m browser tests/browser
	@$(BIN)/python -m pytest -m browser tests/contracts

bench: setup .venv/.clients ## measure speed, as ratios to a baseline of the same run
	@$(BIN)/python -m tests.benchmarks

validate: setup ## check the synthetic population against its targets
	@$(BIN)/python -m synthetic_data report --out build/validation

clean: ## remove what set-up and builds made
	rm -rf .venv build node_modules portal/web/static/vendor
