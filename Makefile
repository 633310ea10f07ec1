# Everything a newcomer needs: make run, make test, make up. Variables: PYTHON, PROFILE, DATA, JOBS.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# An empty environment (env -i) has no PATH, without which Python does not find itself.
export PATH := $(or $(PATH),/usr/local/bin:/usr/bin:/bin)

# What stands between a person and `make run`, said in one line each.
ifeq ($(filter help,$(or $(MAKECMDGOALS),help)),)
ifneq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info[:2] == (3, 11))' 2>/dev/null),True)
$(error $(PYTHON) is $(or $(shell $(PYTHON) -V 2>/dev/null),not installed): mmicl needs Python 3.11; name it with make PYTHON=/path/to/python3.11)
endif
ifneq ($(shell git rev-parse --is-inside-work-tree 2>/dev/null),true)
$(error $(CURDIR) is not a git repository: DVC and lineage need one; clone the project instead of copying it)
endif
endif

.PHONY: help install run up test test-all bench bench-train bench-data miniature check clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP)  ## a .venv with every package of requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@command -v g++ >/dev/null || { echo "g++ is not installed: pycocotools and deepspeed build from source" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p .mmicl/prefect  # Prefect warns of a home that is not there
	@touch $@

run: install  ## the whole chain: prefect deployment run mmicl/full (PROFILE=…, DATA=…)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mmicl run $(if $(PROFILE),--profile $(PROFILE)) $(if $(DATA),--data $(DATA))

up: install  ## Prefect server, worker and MLflow UI on loopback until Ctrl-C
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mmicl up

PYTEST := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest
# Two processes of pytest; a file's tests share one of them.
TOGETHER := --numprocesses $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder

test: install  ## unit, contract, oracle and short integration tests (JOBS=… at a time)
	@$(PYTEST) $(TOGETHER) -m "not slow and not alone and not gpu"

test-all: install  ## the long ones as well: kills, clusters, browser
	@$(PYTEST) -m "alone and not gpu"
	@$(PYTEST) $(TOGETHER) -m "not alone and not gpu"

bench: install  ## time the chain in a fresh checkout, and mmicl score, and hold them to their budgets
	@$(BIN)/python tests/bench/score.py
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/bench/chain.py

bench-train: install  ## time training beside the original's procedure (PROFILE=tiny|xl|xxl, DEVICE=cpu|cuda)
	@$(BIN)/python tests/bench/train.py --profile $(or $(PROFILE),tiny) --device $(or $(DEVICE),cpu)

bench-data: install  ## a million examples through the data half, and the original's way of storing beside it (SIZES=…)
	@$(BIN)/python tests/bench/data.py
	@$(BIN)/python tests/bench/data_scale.py $(if $(SIZES),--sizes $(SIZES))

miniature: install  ## the study of docs/miniature.md: variants, recipes, seeds (JOBS=… at a time)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/bench/miniature.py $(if $(JOBS),--jobs $(JOBS))

check: install  ## ruff, pyright, import-linter, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright

clean:  ## remove what runs made (data, models, reports, state); keeps .venv
	rm -rf data models .mmicl .dvc/cache .dvc/tmp
	find reports -mindepth 1 ! -name .gitkeep -delete
