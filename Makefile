# Two commands: `make run` starts the portal, `make test` proves it. Both need Python 3.11 or newer and make, nothing else.
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.PHONY: run test lint bench docs install install-dev clean

run: install
	@exec $(PY) manage.py up --with-parent $(ARGS)

# Three processes, on two cores as well: much of the browser's and the real portals' time is waiting.
test: install-dev
	@.ci/install-debian
	@.ci/install-phoenix
	$(PY) -m pytest -n 3 $(ARGS)

lint: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: install-dev
	$(PY) -m bench $(ARGS)

# Rewrites what is generated from the code: reference pages, Grafana and Prometheus files.
docs: install
	$(PY) manage.py generate

install:
	@.ci/install-python requirements.txt

install-dev:
	@.ci/install-python requirements-dev.txt

clean:
	rm -rf $(VENV) .test .mypy_cache .ruff_cache .pytest_cache
