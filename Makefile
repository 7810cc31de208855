# make demo: the main job on the built-in sandbox. make test: everything that must hold. make help: the rest.

PYTHON ?= /usr/bin/python3
VENV := .venv
IN_VENV := $(VENV)/bin/python
WORKERS ?= auto

help:
	@echo 'make demo   run authorize, callback, exchange, show, expiry and refresh against the sandbox'
	@echo 'make test   set up a virtual environment in $(VENV) and run all tests'
	@echo 'make bench  measure the callback listener under attack'
	@echo 'make clean  remove what these have made'

demo: $(VENV)/run-ready
	@PYTHON=$(IN_VENV) docs/demo.sh

test: $(VENV)/test-ready
	$(IN_VENV) -m pytest -n $(WORKERS)

bench: $(VENV)/run-ready
	$(IN_VENV) tests/bench_callback.py

# Debian's python3-requests is used where it is installed; else pip fetches requests into the environment.
$(VENV)/run-ready: setup.cfg
	@$(PYTHON) -m venv --system-site-packages $(VENV) || { echo 'missing: sudo apt install python3-venv' >&2; exit 1; }
	@$(IN_VENV) -c 'import requests' 2>/dev/null || $(IN_VENV) -m pip install --quiet 'requests>=2.28'
	@touch $@

$(VENV)/test-ready: $(VENV)/run-ready setup.cfg
	$(IN_VENV) -m pip install --quiet --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .coverage
	find hhtoken tests -name __pycache__ -type d -exec rm -rf {} +

.PHONY: help demo test bench clean
