# Every target sets itself up: the first one that runs makes .venv, and makes it again when what it was made from changes.

# Compiled modules are kept: without them each process that a test starts compiles haqc anew, and pytest every test.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
READY := .venv/.ready
# Idle workers take tests from busy ones: a few tests take minutes.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lint docs wheel-test clean

help:  ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/make \1: \2/p' Makefile

setup: $(READY)  ## makes .venv with everything the other targets need

# torch comes first and by itself: asked for by another package it may arrive as a CUDA build of several GB. Then the
# build backend, so that the editable install needs no build environment of its own.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'haqc needs Python 3.11 or newer; name one with make PYTHON=python3.x'; exit 1; }
	@echo 'setting up .venv (a few minutes, once)'
	@$(PYTHON) -m venv .venv
	@$(PIP) install --constraint constraints.txt setuptools torch==2.13.0
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[browser,dev,docs,plot]'
	@touch $@

demo: $(READY)  ## compiles the digits example to half of its 8-bit energy
	$(BIN)/haqc compile models/digits.onnx --target edge --budget energy=0.5 --force --out build/digits.haqc

test: $(READY)  ## runs the whole suite, as CI does
	$(PYTEST)

check: lint  ## lints, checks types, and runs the quick tests: under two minutes
	$(PYTEST) -m 'not slow'

lint: $(READY)  ## lints and checks types
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)  ## builds the site of docs/ in build/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs

wheel-test: $(READY)  ## builds the source distribution and the wheel, and runs what they install
	$(BIN)/python -m pytest tests/test_packaging.py

clean:  ## removes .venv and everything that was built
	rm -rf .venv build dist haqc.egg-info
