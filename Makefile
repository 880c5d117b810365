# Knitfab, event-sourced. `make demo` shows it, `make test` proves it.

CARGO ?= cargo

.PHONY: demo test lint build prerequisites

# Builds both programs and does the main job with real files on the embedded default.
demo: build
	sh docs/demo/run.sh target/debug

build:
	$(CARGO) build --locked -p knitd -p knit

# Everything: the checks of the house, then every test, PostgreSQL included.
test: prerequisites build lint
	$(CARGO) test --locked --workspace

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Installs what the tests need when it may, else names it.
prerequisites:
	sh tests/prerequisites.sh
