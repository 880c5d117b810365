# Knitfab, event-sourced. `make demo` shows it, `make test` proves it.

CARGO ?= cargo

.PHONY: demo test test-long lint build prerequisites bench soak fuzz fuzz-api validate

# Builds both programs and does the main job with real files on the embedded default.
demo: build
	sh docs/demo/run.sh "$${CARGO_TARGET_DIR:-target}/debug"

build:
	$(CARGO) build --locked -p knitd -p knit

# Everything: the checks of the house, then every test, PostgreSQL and the crash matrix on SQLite included.
test: prerequisites build lint
	$(CARGO) test --locked --workspace

# What takes many minutes more: faults at length, the crash matrix on PostgreSQL, random requests for ten minutes,
# many random histories on both logs.
test-long: prerequisites build
	$(CARGO) test --locked -p knit-tests --test long
	$(CARGO) test --locked -p knit-histories --test at_length

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p knit-tests --test long -- -D warnings
	$(CARGO) clippy --locked -p knit-histories --test at_length -- -D warnings

# Installs what the tests need when it may, else names it.
prerequisites:
	sh tests/prerequisites.sh

# Measures every target of the design beside its anchor; writes docs/performance.md, plots and JSON. Half an hour
# on two processors; `make bench BENCH_ARGS=--quick` is a look in minutes. The machine should have nothing else to do.
bench:
	$(CARGO) build --locked --release -p knitd -p knit -p knit-bench
	target/release/knit-bench $(BENCH_ARGS)

# Lets two servers, one on each database, work for two hours and looks for what grows; writes docs/soak.md with plots
# and samples. `make soak SOAK_ARGS="--minutes 10"` is a look, which it leaves in target/bench.
soak:
	$(CARGO) build --locked --release -p knitd -p knit -p knit-bench
	target/release/knit-bench soak $(SOAK_ARGS)

# Tries everything that reads from outside with anything, FUZZ_SECONDS for each target (ten minutes unless given);
# needs a C++ compiler. `make test` reads the corpus too. `make fuzz FUZZ_TARGETS="tags events"` tries only these.
fuzz:
	sh tests/fuzz/run.sh $(FUZZ_TARGETS)

# Tries the API of a server of its own with requests made from its description; needs Schemathesis, and says how
# to get it.
fuzz-api: build
	sh tests/fuzz/api/run.sh "$${CARGO_TARGET_DIR:-target}/debug"

# Holds the drawings of lineages and of graphs of Plans against what the authors of OpenLineage, PROV, RO-Crate, DOT
# and Mermaid publish, and shows them to a browser; holds the script for PowerShell against a grammar. Needs their
# programs, and says how to get them.
validate: build
	sh tests/validate/run.sh "$${CARGO_TARGET_DIR:-target}/debug"
