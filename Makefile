# `make` alone lists the targets. A target's line below `##` is its help.
.DEFAULT_GOAL := help
.PHONY: help build run cluster test test-core test-one programs check bench bench-values flame docs fuzz valgrind install dist deb clean setup servers clients

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
MODULE     := $(TARGET_DIR)/release/libredis_model.so
# Where Debian's redis-server looks for modules.
MODULE_DIR := /usr/lib/redis/modules
# How long each fuzz target runs: `make fuzz SECONDS=600`, or one of them: `make fuzz TARGETS=json`.
SECONDS    := 60
TARGETS    :=

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup:
	@scripts/setup

servers: setup
	@scripts/servers

clients: setup
	@scripts/clients

build: setup ## build the module: target/release/libredis_model.so, and its debug information beside it
	@scripts/build

run: servers ## start a server with the module and take the tour; Ctrl-C stops it
	@scripts/run

cluster: servers ## start three shards with a replica each; Ctrl-C stops them
	@scripts/cluster

# Every test crate but the one that starts servers.
CORE_TESTS := $(filter-out server,$(notdir $(basename $(wildcard tests/*.rs)) $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs))))

# Side by side, because linking the release build keeps one core busy for minutes, and downloads none. The module's
# feature is on: one build of the crate serves the core's tests, those of the shell and those with servers. Allocations are
# counted without it, because with it the allocator is the server's.
test: ## run everything: lints, core, real servers, a short fuzz run
	@scripts/setup --lints
	@$(MAKE) --no-print-directory -j3 --output-sync=target build check servers clients programs
	cargo test --features module
	cargo test --test allocations
	scripts/fuzz 20

programs: setup check
	cargo test --features module --no-run
	cargo build --quiet --locked --manifest-path tests/clients/schemars/Cargo.toml --target-dir $(TARGET_DIR)/schemars

test-core: setup ## run the tests of the core, which start no server
	cargo test --lib $(addprefix --test ,$(CORE_TESTS))

test-one: servers ## run the tests with T=text in their names, on a debug build of the module
	cargo build --features module
	REDIS_MODEL_SO=$(abspath $(TARGET_DIR))/debug/libredis_model.so cargo test --features module '$(T)'

# All targets are linted with the feature; without it, only the library differs.
check: ## check formatting, lints, licences and dependencies
	@scripts/setup --lints
	cargo fmt --check
	cargo clippy --all-targets --features module -- -D warnings
	cargo clippy -- -D warnings
	scripts/fuzz check
	@scripts/deny

bench: servers build ## measure the table of speed and memory
	@scripts/bench

bench-values: setup ## measure representations of values, and evaluators, side by side
	@scripts/bench --values

flame: ## draw flame graphs of the rows that miss their target, or of ROWS='part of a name'
	@scripts/flame $(if $(ROWS),'$(ROWS)')

docs: setup ## write commands.md and the tables of limits from the declarations
	cargo run --quiet --example commands > commands.md.new
	mv commands.md.new commands.md
	cargo run --quiet --example commands docs/operating.md > operating.md.new
	mv operating.md.new docs/operating.md

fuzz: setup ## fuzz every parser and decoder: SECONDS=60 each, TARGETS=all
	scripts/fuzz $(SECONDS) $(TARGETS)

valgrind: servers build ## run tests of servers under valgrind: what the module loses or reads wrongly
	scripts/valgrind

install: build ## copy the module to where Debian's Redis finds it
	install -D -m 755 $(MODULE) $(DESTDIR)$(MODULE_DIR)/libredis_model.so
	@echo 'Add this line to /etc/redis/redis.conf and restart the server:'
	@echo 'loadmodule $(MODULE_DIR)/libredis_model.so'

dist: setup ## pack the module, guided by a profile where the toolchain can, with debug information and licences: target/dist
	@module=$$(scripts/guided) && scripts/dist "$$module"

deb: build ## make Debian packages of the module: target/dist
	@scripts/deb $(MODULE)

clean: ## remove what was built and fetched
	cargo clean
	rm -rf fuzz/target fuzz/artifacts fuzz/corpus
