# A machine with Python 3.11+, a Rust toolchain and make needs nothing else; `make conformance` needs Go and Node too.
#
#   make          build into .venv: .venv/bin/csroute is the command afterwards
#   make demo     a Double-11 night through real gRPC; options in ARGS="--seconds 60 --json night.json"
#   make test     all tests, Rust and Python
#   make quick    an answer within a minute, once built
#   make lint     format, lints, types, and whether the generated stubs are true
#   make bench    the figures, in one table; `make bench-smoke` runs each bench once
#   make load     load on a server that runs: `make load ARGS="--rate 1000000 --seconds 60"`
#   make ci       what a change must pass
#   make clean    drop what was built
#   make help     this list; further: peers, curves, guard, conformance, crash, soak, load-soak, protos, format, lock

PYTHON ?= python3
ARGS ?=
SOAK_SECONDS ?= 600
CRASH_CYCLES ?= 100
GRPCURL_VERSION := v1.9.4

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
CARGO ?= cargo
export VIRTUAL_ENV := $(VENV)
export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1
export PYO3_PYTHON := $(BIN)/python

RUST := Cargo.toml Cargo.lock $(shell find rust_core protos \( -name '*.rs' -o -name '*.proto' -o -name 'Cargo.toml' \) -not -path '*/target/*')
TOOLS := $(VENV)/.tools
BUILT := $(VENV)/.built
GRPCURL := $(CURDIR)/target/grpcurl/$(GRPCURL_VERSION)/grpcurl

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: build help tools demo load peers curves guard test test-rust test-python quick lint bench bench-smoke ci conformance crash soak protos lock format clean

build: $(BUILT)
help:
	@sed -n 's/^#   //p' Makefile
tools: $(TOOLS)

$(TOOLS): requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements-dev.txt
	@touch $@

$(BUILT): $(TOOLS) pyproject.toml $(RUST)
	$(BIN)/maturin develop --release --locked
	@touch $@

demo: $(BUILT)
	$(BIN)/csroute demo $(ARGS)

load: $(BUILT)
	$(BIN)/csroute load $(ARGS)

test: test-rust test-python

test-rust: $(TOOLS)
	$(CARGO) test --workspace --locked

test-python: $(BUILT)
	$(BIN)/pytest -m "not conformance and not soak and not peers" $(ARGS)

quick: $(BUILT)
	$(CARGO) test --locked -q -p csroute-engine -p csroute-wire --lib
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest -x -m "not conformance and not soak and not peers and not slow" $(ARGS)

lint: $(BUILT)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/stubtest csroute._csroute
	$(BIN)/python scripts/gen_protos.py --check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench: $(BUILT) peers-fetched
	$(BIN)/python -m benches.table $(ARGS)

curves: $(BUILT)
	$(BIN)/python -m benches.curves $(ARGS)

guard: $(BUILT)
	$(BIN)/python -m benches.guard $(ARGS)

# The others' benches: the journal's disk, the node, the simulator, the wire under pytest-benchmark.
bench-parts: $(BUILT)
	$(CARGO) bench --workspace --locked --bench '*'
	$(BIN)/pytest benches -s --benchmark-only --benchmark-json=target/bench-parts.json $(ARGS)

.PHONY: peers-fetched bench-parts load-soak
peers-fetched: $(TOOLS)
	$(BIN)/python scripts/peers.py

peers: $(BUILT) peers-fetched
	$(BIN)/pytest -m peers tests/peers $(ARGS)

bench-smoke: $(BUILT)
	$(CARGO) bench --workspace --locked --bench '*' -- --test
	$(BIN)/pytest benches --benchmark-disable $(ARGS)
	$(BIN)/python -m benches.curves --quick
	$(BIN)/python -m benches.guard

ci: lint test bench-smoke

conformance: $(BUILT) $(GRPCURL)
	$(BIN)/python scripts/conformance_clients.py
	GRPCURL=$(GRPCURL) $(BIN)/pytest -m conformance tests/conformance $(ARGS)

$(GRPCURL):
	GOBIN=$(dir $@) go install github.com/fullstorydev/grpcurl/cmd/grpcurl@$(GRPCURL_VERSION)

crash: $(BUILT)
	CRASH_CYCLES=$(CRASH_CYCLES) $(BIN)/pytest tests/crash -s $(ARGS)

soak: $(BUILT)
	CSROUTE_SEEDS=20000 $(CARGO) test --locked -p csroute-node --test crashing -- --nocapture
	CRASH_CYCLES=1000 $(BIN)/pytest tests/crash/test_kill.py -s --timeout=0 $(ARGS)
	CSROUTE_COMMANDS=50000000 $(CARGO) test --locked -p csroute-engine --test long_run -- --nocapture
	CSROUTE_SEEDS=100000 $(CARGO) test --locked -p csroute-journal --test crash --test damage
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest tests/test_soak.py -m soak --timeout=0 $(ARGS)

load-soak: $(BUILT)
	$(BIN)/python -m benches.soak $(ARGS)

protos: $(TOOLS)
	$(BIN)/python scripts/gen_protos.py

lock: $(TOOLS)
	$(BIN)/python -m pip install uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade -q \
		--no-annotate --no-header -o requirements-dev.txt

format: $(TOOLS)
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(CARGO) fmt --all

clean:
	rm -rf $(VENV) target python/csroute/*.so
