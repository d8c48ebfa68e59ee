# Everything from a clean clone: `make demo` shows a night, `make test` proves it. Needs Python >= 3.11 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := prep capture publisher integrity load_tests
DEMO ?=

.PHONY: setup system tools demo test lint bench clean

setup: $(VENV)/ready system

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# zbar is the last decoder of the cascade; without it the others still work.
system:
	@sh deploy/system-packages.sh libzbar0

# The operations kit, keys in tokens, the page that checks in a browser, the commands of VERIFICA.txt, and that bytes are on
# the disk before they are promised are tested with the real programs; without them the tests are skipped and say so.
tools:
	@sh deploy/system-packages.sh nginx prometheus softhsm2 nftables libfaketime chromium sqlite3 strace

demo: setup
	$(BIN)/prep demo $(DEMO)

test: setup lint tools
	$(BIN)/pytest

lint: $(VENV)/ready
	$(BIN)/ruff format --check $(PACKAGES) tests
	$(BIN)/ruff check $(PACKAGES) tests
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: setup
	$(BIN)/python -m load_tests.bench

clean:
	rm -rf $(VENV) var
