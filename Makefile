# Everything a person or CI does with this checkout. Each target does its own set-up; nothing is done twice.
#   make demo    a small fleet on this machine, running       make test      the fast tests
#   make dev     the environment only                         make test-all  all tests
#   make check   what must hold before a commit               make bench     measurements
#   make docs    write the generated reference                make lock      resolve dependencies anew
#   make pictures  draw the README's pictures anew

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := dev
.PHONY: demo dev test test-slow test-all test-kerberos check bench pictures docs lock clean programs host-programs

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; PYTHON=... overrides it.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; print("$(name)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq
# Most tests wait for a server, a lease or the next status commit: twice as many workers as cores keep two cores busy.
WORKERS ?= 4
# Kills and leases want their moments: no more of these at once than there are cores.
SLOW_WORKERS ?= 2
# Each worker begins with its share of neighbours, which share what their module starts, and takes over from others.
PYTEST := $(BIN)/python -m pytest --dist worksteal
# The program is started by the hundred; it must find its modules compiled.
unexport PYTHONDONTWRITEBYTECODE
CODE := opsconductor reconciler runners journal engine schemas tools tests

# --- set-up, each step with a stamp -------------------------------------------------------------------------------

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; found none. Install it, or call make PYTHON=/path/to/python" >&2; exit 1; }
	@PYTHON="$(PYTHON)" tools/programs.sh venv
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements.lock
	@echo "installing what the program needs (requirements.lock, by hash)"
	@$(PIP) --require-hashes --only-binary :all: --no-deps --requirement requirements.lock
	@touch $@

$(VENV)/.project: $(VENV)/.run pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.project requirements-dev.lock
	@echo "installing what the tests and checks need (requirements-dev.lock, by hash)"
	@$(PIP) --require-hashes --only-binary :all: --no-deps --requirement requirements-dev.lock
	@touch $@

programs:
	@tools/programs.sh git sshd ssh-keygen busybox sudo nmap strace gcc libc-headers postgres

# What the steps of the libraries work with on a host of the slow tests, and the browser that opens the pages.
host-programs:
	@tools/programs.sh cron logrotate sysctl journalctl rabbitmq-server sqlite3 psql mariadb mariadbd \
		rsync ping traceroute zstd xz curl openssl promtool chromium

# An editor's language server, a workflow checker, a schema and axe, for slow tests; the lock file names no registry.
NODE_PROGRAMS := tests/node_programs/node_modules
$(NODE_PROGRAMS)/.made: tests/node_programs/package.json tests/node_programs/package-lock.json
	@tools/programs.sh node npm
	@npm ci --prefix tests/node_programs --silent
	@touch $@

dev: $(VENV)/.dev

# --- for everybody ------------------------------------------------------------------------------------------------

DEMO := .demo

$(DEMO)/.made: | $(VENV)/.project
	@rm -rf $(DEMO) && mkdir $(DEMO)
	@$(BIN)/opsconductor init $(DEMO)/fleet --state $(DEMO)/state
	@touch $@

demo: $(VENV)/.project
	@tools/programs.sh git
	@$(MAKE) --no-print-directory $(DEMO)/.made
	@$(BIN)/opsconductor up $(DEMO)/fleet --state $(DEMO)/state

test: $(VENV)/.dev programs
	$(PYTEST) -n $(WORKERS) -m "not slow"

test-slow: $(VENV)/.dev programs host-programs $(NODE_PROGRAMS)/.made
	$(PYTEST) -n $(SLOW_WORKERS) -m slow

test-all: test test-slow

# Not part of test-all: the extra has to be built here, with a compiler and the headers of Kerberos.
test-kerberos: $(VENV)/.dev
	@tools/programs.sh krb5kdc kadmin.local krb5-config gcc libc-headers
	@$(PIP) --editable '.[kerberos]'
	$(BIN)/python -m tests.wsman.kerberos

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tools
	$(BIN)/lint-imports
	$(BIN)/python tools/lock.py check
	$(BIN)/python tools/changelog.py check
	$(BIN)/python tools/hosts.py
	$(BIN)/python -m pytest tests/unit/test_docs_*.py

bench: $(VENV)/.dev programs
	@tools/programs.sh rabbitmq-server
	$(BIN)/python -m tests.performance

pictures: $(VENV)/.dev host-programs
	$(BIN)/python tools/picture.py
	$(BIN)/python -m tests.browser.pictures docs/pictures

docs: $(VENV)/.dev
	$(BIN)/python -m opsconductor.reference docs/reference
	$(BIN)/python -m pytest tests/unit/test_docs_*.py

# Versions that still fit stay; make lock UPGRADE=--upgrade takes the newest of all.
lock: $(VENV)/.dev
	$(BIN)/python tools/lock.py write $(UPGRADE)

clean:
	rm -rf $(VENV) $(DEMO) $(NODE_PROGRAMS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
