# make demo   build, run the example on built-in records, start both services, ask for a prediction
#             (make demo ARGS=--once stops there)
# make test   install what the tests need and run them all
# make soak   kill the engine two hundred times instead of twenty, with runs under way
# make lint   formatting and clippy
#
# Set CARGO_TARGET_DIR to share compiled dependencies between checkouts.

CARGO ?= cargo
PYTHON ?= python3
ARGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)
TEST_TOOLS := $(CURDIR)/.venv

.PHONY: demo test soak lint test-tools clean-demo

demo:
	$(CARGO) build -p ratchet-cli -p ratchet-api
	$(TARGET)/debug/ratchet demo $(ARGS)

# The crates' own tests first. Then both programs are built alone, each with no features but its own, because that is
# how they are shipped, and the tests that cross crates run against these.
test: test-tools
	RATCHET_TEST_TOOLS=$(TEST_TOOLS)/bin $(CARGO) test --workspace --exclude ratchet-tests
	$(CARGO) build -p ratchet-cli
	$(CARGO) build -p ratchet-api
	RATCHET_TEST_TOOLS=$(TEST_TOOLS)/bin $(CARGO) test -p ratchet-tests

soak:
	RATCHET_CRASH_KILLS=200 $(CARGO) test -p ratchet-runtime --test it crash:: -- --nocapture

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# An S3 server to test against. The stamp is renewed when the list changes.
test-tools: $(TEST_TOOLS)/installed

$(TEST_TOOLS)/installed: tests/requirements.txt
	$(PYTHON) -m venv $(TEST_TOOLS) || { echo "python3 cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(TEST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

clean-demo:
	rm -rf .ratchet/demo
