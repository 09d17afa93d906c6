# Every target sets itself up from nothing: Python 3.11 or newer is enough for `make demo`.
PYTHON ?= python3
VENV := .venv
EXPORT := .venv-export
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults soak prove format tools clean export-check

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[cpu,demo,web]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[cpu,demo,dev]'
	@touch $@

# torch is pinned: the newest one brings gigabytes of CUDA along.
$(EXPORT)/.export: pyproject.toml constraints-export.txt
	$(PYTHON) -m venv $(EXPORT)
	$(EXPORT)/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints-export.txt \
	  torch==2.13.0 --editable '.[cpu,export]' hypothesis jsonschema pytest pytest-timeout
	@touch $@

# The tests want a real broker, systemd's checker and a browser; as root on Debian or Ubuntu they are installed here.
# Ubuntu has Chromium as a snap only, which tests can't drive: there the tests in a browser are skipped.
tools:
	@missing=; \
	command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || missing="$$missing mosquitto"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	! grep -qx 'ID=debian' /etc/os-release || command -v chromium >/dev/null || missing="$$missing chromium"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  else echo "missing:$$missing (the tests that need them will be skipped)"; fi; fi

demo: $(VENV)/.demo  ## the main job, end to end, offline, within a minute
	@$(BIN)/edge demo

test: $(VENV)/.dev tools  ## all fast tests
	$(BIN)/python -m pytest -m 'not faults and not export'

check: $(VENV)/.dev  ## formatting, lint, types, who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## let ruff write
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev tools  ## paired measurements, each printing a ratio
	$(BIN)/python -m benchmarks

faults: $(VENV)/.dev tools  ## the long ones: kills, full queues, frozen brokers
	$(BIN)/python -m pytest -m 'faults or fault' --fault-table --timeout 1800

SOAK ?= --minutes 60 --rate 2
soak: $(VENV)/.dev tools  ## an hour of cameras, with a broker that crashes every few minutes: memory, latency, nothing lost
	$(BIN)/python -m tests.soak $(SOAK)

prove: $(VENV)/.dev  ## the registration engine's promises, 20,000 random histories of 50 steps and more (half an hour)
	$(BIN)/python -m tests.registration.prove
	$(BIN)/python -m tests.registration.prove --sqlite --examples 1000 --seed 1000000

export-check: $(EXPORT)/.export  ## rebuild the starter bundle (needs torch and npm) and compare it with the one here
	$(EXPORT)/bin/python -m pytest -m export tests/export
	$(EXPORT)/bin/edge export starter --check

clean:  ## remove what the targets made
	rm -rf $(VENV) $(EXPORT) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist ./*.egg-info
