# One word for each thing that one does with a checkout. Everything fetched goes to .deps, everything built to .build.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint bench clean

# The run folder of `make demo`; running it again with the same folder goes on from where it stopped.
RUN ?= runs/demo

# Tests use public API only. Without this flag `swift test` would build every module a second time, in another way.
SWIFT_TEST_BUILD := -c release --disable-testable-imports

help: ## Print this list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Fetch the engines and the demo's data into .deps (does nothing the second time)
	@scripts/setup

build: setup ## Build the program; then ./spaceevo --help
	swift build -c release

demo: build ## Design, train, export and measure INT8 networks on this machine, in the folder $(RUN)
	./spaceevo run --run "$(RUN)"

lint: ## Check the format of all Swift files, as `make test` does first
	swift format lint --strict --parallel --recursive Package.swift Sources Tests $(wildcard Benchmarks)

test: setup lint ## Check the format, build everything and run all tests
	swift build $(SWIFT_TEST_BUILD) --build-tests
	. scripts/engine-environment.sh && swift test $(SWIFT_TEST_BUILD) --skip-build --disable-xctest

bench: build ## Run the benchmarks
	. scripts/engine-environment.sh && Benchmarks/run

clean: ## Remove what was built; `rm -rf .deps` removes what was fetched
	swift package clean
