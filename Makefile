# One word for each thing that one does with a checkout. Everything fetched goes to .deps, everything built to .build.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint bench torture fuzz sanitize clean

# The run folder of `make demo`; running it again with the same folder goes on from where it stopped.
RUN ?= runs/demo

# Tests use public API only. Without the first flag `swift test` would build every module once more, in another way, and
# the next `swift build` again; there are no XCTest cases for it to look for.
SWIFT_TEST_FLAGS := --disable-testable-imports --disable-xctest

help: ## Print this list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Fetch the engines and the demo's data into .deps (does nothing the second time)
	@scripts/setup

build: setup ## Build the program; then ./spaceevo --help
	swift build -c release

demo: build ## Design, train, export and measure INT8 networks on this machine, in runs/demo or RUN=FOLDER
	./spaceevo run --run "$(RUN)"

lint: ## Check the format of all Swift files, as `make test` does first
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Fuzzing $(wildcard Benchmarks)

test: setup lint ## Check the format, build everything and run all tests
	swift build -c release --build-tests
	. scripts/engine-environment.sh && swift test -c release $(SWIFT_TEST_FLAGS) --skip-build

bench: ## Time opening 100,000 records, scores, evolution and optimum; TABLES=FOLDER names the published onnxw tables
	SPACEEVO_PURE=1 swift build -c release --scratch-path .build-pure --product spaceevo-benchmarks
	.build-pure/release/spaceevo-benchmarks $(TABLES)

torture: build ## Kill small runs, fill their disk, fail their writes, and compare what they end with; half an hour
	python3 scripts/torture.py $(TORTURE)

fuzz: setup ## Feed every parser a million changed inputs, or PARSER=NAME; RUNS=NUMBER or TIME=SECONDS each
	scripts/fuzz-build --product spaceevo-fuzz
	scripts/fuzz

sanitize: setup ## Run the tests of what reads, of C and C++ and of threads under sanitizers
	scripts/sanitize

clean: ## Remove what was built; `rm -rf .deps` removes what was fetched
	swift package clean
	rm -rf .build-pure .build-fuzz .build-threads
