# `make demo` builds and runs the sample app; `make test` is everything that CI checks.
PYTHON ?= python3
BIN := .venv/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types unit soak bench status clean

demo: .venv/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh buildpacks/samples/demo.sh

test: lint types unit

lint: .venv/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developing
	$(BIN)/mypy

# Zig's objects are there since the launcher was built for .venv.
unit: .venv/developing
	ZIG_GLOBAL_CACHE_DIR="$${ZIG_GLOBAL_CACHE_DIR:-$${TMPDIR:-/tmp}/cnb-lifecycle-zig-$$(id -u)}" \
	    TMPDIR="$$($(BIN)/python tests/parts/temporary.py)" $(BIN)/pytest -n auto --dist worksteal

# Figures to compare within one run; benchmarks of the daemon want DOCKER_HOST, see each file.
bench: .venv/developing
	$(BIN)/python tests/bench/bench_startup.py
	$(BIN)/python tests/bench/bench_launcher.py
	$(BIN)/python tests/bench/bench_unit_tests.py
	$(BIN)/python tests/bench/bench_memory.py --sizes 50 500

# What CI runs in short forms: more builders, more kills, larger models of the protocol.
soak: .venv/developing
	CNB_SOAK=1 $(BIN)/pytest -n 2 tests/unit/cache/distributed tests/acceptance/test_shared_cache.py tests/acceptance/test_cache_experiments.py \
		tests/acceptance/test_cache_gc.py

status: .venv/developing
	$(BIN)/python spec/status.py

clean:
	rm -rf .venv demo dist

# Debian and Ubuntu ship venv apart from python3; it is asked for only where it is missing.
.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv; \
	else \
	    echo "this Python has no ensurepip; install it with: sudo apt-get install python3-venv" >&2; exit 1; fi
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt lifecycle/launcher/hatch_build.py $(wildcard lifecycle/launcher/*.[ch])
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/developing: .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
