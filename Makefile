# From a bare clone: `make demo` shows something, `make test` tests it. Both set up .venv first, once.

.PHONY: demo test lint clean help
.DEFAULT_GOAL := help

BIN := .venv/bin
INSTALLED := .venv/.installed
TYPECHECK := .cache/typecheck
SOURCES := worldmodel envs agents configs tests docs $(wildcard benchmarks)
MODULES := $(shell find worldmodel envs agents configs -name '*.py' -o -name '*.yaml')
PYTEST_FLAGS ?= -n 2 -q

help:
	@echo "make demo   set up .venv and dream, the truth beside it: runs/demo/rollout.mp4"
	@echo "make test   set up .venv and run the tests"
	@echo "make lint   set up .venv, check style and types"
	@echo "make clean  remove everything that was made, .venv included"

demo: $(INSTALLED)
	$(BIN)/worldmodel rollout env=imagined player=explorer steps=80 seed=1000021 output=runs/demo

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(INSTALLED) $(TYPECHECK)/.installed
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	MYPYPATH=$(TYPECHECK) $(BIN)/mypy --cache-dir .cache/mypy -p worldmodel

clean:
	rm -rf .venv .cache build dist *.egg-info .pytest_cache .ruff_cache .hypothesis runs/demo
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# An editable install: sources are used where they lie, so only new requirements need another run.
$(INSTALLED): pyproject.toml constraints.txt
	@python=$$(command -v python3.11 || command -v python3) && \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "worldmodel needs Python 3.11 or newer; install it and put it on PATH as python3" >&2; exit 1; }; \
	  test -x $(BIN)/python || $$python -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

# The type checker cannot follow an editable install of folders that have other names; it gets an ordinary one.
$(TYPECHECK)/.installed: $(INSTALLED) $(MODULES)
	rm -rf $(TYPECHECK) build
	$(BIN)/python -m pip install -q --no-deps -c constraints.txt --target $(TYPECHECK) .
	@rm -rf build
	@touch $@
