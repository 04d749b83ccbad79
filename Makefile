# Atelier's habits. Each target does its own setup first, and none asks a question.
#
#   make run  [HOST=0.0.0.0] [PORT=8000] [ARGS="--memory-gb 4"]
#   make test [ARGS="tests/core -k jobs"]
#   make starters DATA=folder-with-the-data-sets

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
CANDIDATES := python3.11 python3.12 python3.13 python3 python
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(CANDIDATES); do $$name -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$name && break; done)
PIP := $(VENV_PYTHON) -m pip --disable-pip-version-check --no-input

.PHONY: help setup run test check bench starters readme
.DEFAULT_GOAL := help

help:
	@echo "make run       install what is missing and open the house at http://127.0.0.1:7860"
	@echo "make setup     only install what is missing, into $(VENV)"
	@echo "make test      run every test that this machine can run"
	@echo "make check     lint, format and types"
	@echo "make bench     measure every claim beside the plain library"
	@echo "make starters  train the starters that are missing (DATA=folder with the data sets)"
	@echo "                 minutes each on two cores: sentiment question-answering nli entities embeddings emoji-lora emoji-edges"
	@echo "                 an hour or more each: fill-mask stories translate-en-fr emoji (killed, they go on)"
	@echo "make readme    write README's tables anew from the files of starters and benches"

setup: $(VENV)/.installed

run: setup
	$(VENV_PYTHON) app.py $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)") $(ARGS)

test: $(VENV)/.installed-dev
	$(VENV_PYTHON) -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: $(VENV)/.installed-dev
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

bench: $(VENV)/.installed-dev
	@set -e; for file in bench/[a-z]*.py; do name=$$(basename $$file .py); \
	  echo "== python -m bench.$$name"; $(VENV_PYTHON) -m bench.$$name --json bench/results/$$name.json; done
	@$(VENV_PYTHON) -m bench._readme

starters: $(VENV)/.installed-dev
	@test -n "$(DATA)" || { echo "Say where the data sets are: make starters DATA=folder"; exit 2; }
	$(VENV_PYTHON) -m recipes.all --data $(DATA)
	@$(VENV_PYTHON) -m recipes._readme

readme: $(VENV)/.installed-dev
	@$(VENV_PYTHON) -m bench._readme
	@$(VENV_PYTHON) -m recipes._readme

# The stamps are newer than the requirements they stand for, so pip runs only when those change.
$(VENV)/.installed: requirements.txt | $(VENV)/.made
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) install -r requirements-dev.txt
	@touch $@

# An environment that is half made, or made by an older Python, is made anew.
$(VENV)/.made:
	@if test -z "$(PYTHON)" || ! $(PYTHON) -c '$(IS_NEW_ENOUGH)'; then \
	  echo "Atelier needs Python 3.11 or newer, and found none under these names: $(CANDIDATES)."; \
	  echo "Install it from https://www.python.org/downloads/, or say where it is: make run PYTHON=/path/to/python3.11"; \
	  exit 1; fi
	@$(VENV_PYTHON) -c '$(IS_NEW_ENOUGH)' 2>/dev/null && $(PIP) --version >/dev/null 2>&1 \
	  || $(PYTHON) -m venv --clear $(VENV)
	@touch $@
