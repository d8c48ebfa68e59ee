# All work from a clean clone: `make demo` shows a night, `make test` runs all checks. Needs Python >= 3.11 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WEB := capture/web
PACKAGES := prep capture publisher integrity load_tests
DEMO ?=
UPGRADE ?= --upgrade

# pip resolves no dependencies. It installs exactly the versions and hashes of the locks, even if newer ones exist.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED := --require-hashes --only-binary :all: -r

# A night starts some thirty processes. Without the files of compiled code each would compile this code again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup system tools screens demo test pytest quick lint format bench lock wheel clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 15

setup: $(VENV)/ready system ## install what a night needs into .venv

# If a lock changes, the environment is made from zero. So a package that left the lock is not left behind.
$(VENV)/night: requirements.lock requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 setup")'
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) $(LOCKED) requirements.lock
	touch $@

$(VENV)/ready: $(VENV)/night pyproject.toml
	$(PIP) --no-build-isolation --editable .
	touch $@

# Not compiled: the tests load a small part of it.
$(VENV)/tests: $(VENV)/night requirements-dev.lock | $(VENV)/ready
	$(PIP) --no-compile $(LOCKED) requirements-dev.lock
	touch $@

# zbar is the last decoder of the cascade. The other decoders work without it.
system:
	@sh deploy/system-packages.sh libzbar0

# Real programs for tests: nginx and prometheus (deploy/), softhsm2 (keys in tokens), nftables and libfaketime (faults),
# both Chromiums (the pages; the screens, with a camera), sqlite3 (VERIFICA.txt), strace (bytes are on the disk before the receipt).
# A test whose program is missing is skipped and says so.
tools: system # two apt-get at once would not work
	@sh deploy/system-packages.sh nginx prometheus softhsm2 nftables libfaketime sqlite3 strace chromium \
		chromium-headless-shell
	@command -v npm >/dev/null || sh deploy/system-packages.sh nodejs npm
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(WEB)/node_modules; fi

# What the screens' build makes is committed: a night needs no Node. The packages come by the hashes of the lock, and run
# nothing when they are installed.
$(WEB)/node_modules: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-fund --no-audit --ignore-scripts --silent
	touch $@

screens: $(WEB)/node_modules ## build the screens of capture/web again (needs Node >= 20)
	cd $(WEB) && npm run --silent build && npm run --silent check

demo: setup ## a whole synthetic night on this machine, then its results at the address it prints
	$(BIN)/prep demo $(DEMO)

# Python's packages and the tools are installed at the same time; the types are checked beside the first tests.
test: ## lint, types, import rules and every test
	$(MAKE) --no-print-directory --jobs=2 setup tools $(VENV)/tests
	$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest:
	$(BIN)/pytest

quick: $(VENV)/ready $(VENV)/tests ## the pure tests, in less than a minute
	$(BIN)/pytest tests/quick

lint: $(VENV)/ready $(VENV)/tests ## format, lint, types and import rules, without the tests
	$(BIN)/ruff format --check $(PACKAGES) deploy docs tests
	$(BIN)/ruff check $(PACKAGES) deploy docs tests
	$(BIN)/mypy $(PACKAGES) tests
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(VENV)/tests ## write the code as the lint wants it
	$(BIN)/ruff format $(PACKAGES) deploy docs tests
	$(BIN)/ruff check --fix $(PACKAGES) deploy docs tests

bench: $(VENV)/ready $(VENV)/tests ## measure the speed of this machine and this code
	$(BIN)/python -m load_tests.bench

lock: $(VENV)/tests ## make both locks again, once a month, and say what changed (UPGRADE= keeps the versions)
	$(BIN)/python deploy/lock.py $(UPGRADE)

wheel: $(VENV)/night ## build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel -d dist

clean: ## remove .venv and the files of nights
	rm -rf $(VENV) var dist
