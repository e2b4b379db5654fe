# make demo   build, run the example on built-in records, start both services, ask for a prediction
#             (make demo ARGS=--once stops there)
# make test   install what the tests need and run them all
# make test-postgres   only those of the metadata and of the log on Postgres (make test runs them too)
# make soak   kill the engine two hundred times instead of twenty, with runs under way, and twice at each point
# make lint   formatting and clippy
# make bench-engine   chains, wide DAGs, processes, start and memory of the engine, beside their goals
# make bench-api      requests a second and latencies of predictions, beside a bare handler that echoes and FastAPI with LightGBM
# make bench-training    the four use cases beside Python pipelines: accuracy, wall time, memory (DATA=directory of records;
#                        ARGS=--million: a million incidents instead)
# make bench-stream   a million rows as NDJSON and as CSV, with the memory they take
#
# Set CARGO_TARGET_DIR to share compiled dependencies between checkouts.

CARGO ?= cargo
PYTHON ?= python3
ARGS ?=
DATA ?= $(or $(RATCHET_TEST_DATA),../shared/data)
TARGET := $(or $(CARGO_TARGET_DIR),target)
TEST_TOOLS := $(CURDIR)/.venv

.PHONY: demo test test-postgres soak lint bench-engine bench-api bench-training bench-stream test-tools clean-demo

demo:
	$(CARGO) build -p ratchet-cli -p ratchet-api
	$(TARGET)/debug/ratchet demo $(ARGS)

# The crates' own tests first. Then both programs are built alone, each with no features but its own, because that is
# how they are shipped, and the tests that cross crates run against these.
test: test-tools
	RATCHET_TEST_TOOLS=$(TEST_TOOLS)/bin $(CARGO) test --workspace --exclude ratchet-tests
	@$(MAKE) --no-print-directory test-postgres
	$(CARGO) build -p ratchet-cli
	$(CARGO) build -p ratchet-api
	RATCHET_TEST_TOOLS=$(TEST_TOOLS)/bin $(CARGO) test -p ratchet-tests

# The promises of the metadata store again, on a Postgres server that the tests start themselves.
test-postgres: test-tools
	@if programs=$$(tests/find_postgres.sh $(TEST_TOOLS)/bin); then \
		RATCHET_TEST_POSTGRES=$$programs $(CARGO) test --workspace --exclude ratchet-tests --lib --test it -- --ignored postgres; \
	else \
		echo "SKIPPED: the tests on Postgres; install a server (Debian: apt install postgresql) or set RATCHET_TEST_POSTGRES to the directory of its initdb"; \
	fi

soak:
	RATCHET_CRASH_KILLS=200 $(CARGO) test -p ratchet-runtime --test it crash:: -- --nocapture

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench-engine:
	$(CARGO) build -p ratchet-cli
	$(PYTHON) tests/benches/engine.py $(TARGET)/debug/ratchet $(ARGS)

# As it is shipped: the release profile. BESIDE= leaves FastAPI out, ARGS="--minutes 10" looks at the memory for ten minutes.
BESIDE ?= --beside $(TEST_TOOLS)/bin/python
bench-api: test-tools
	$(TEST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/benches/requirements.txt
	$(CARGO) build -p ratchet-cli
	$(CARGO) build --release -p ratchet-api --examples
	rm -rf .ratchet/bench
	$(TARGET)/debug/ratchet --home .ratchet/bench run dags/lfb_response_time.yaml -p 'incidents=simulated://lfb?rows=12000&seed=5&days=100'
	$(TARGET)/release/examples/bench_predict .ratchet/bench lfb-response-time $(BESIDE) $(ARGS)

# Ratchet is built as for daily work: its dependencies optimized, its own crates hardly.
bench-training: $(TEST_TOOLS)/benches
	$(CARGO) build -p ratchet-cli
	$(TEST_TOOLS)/bin/python tests/benches/training.py $(TARGET)/debug/ratchet $(DATA) $(ARGS)

bench-stream:
	$(CARGO) build -p ratchet-cli
	$(CARGO) build -p ratchet-api
	RATCHET_TEST_STREAM_ROWS=1000000 $(CARGO) test -p ratchet-tests streams:: -- --nocapture

# An S3 server to test against, and a client of other prediction servers. The stamp is renewed when the list changes.
test-tools: $(TEST_TOOLS)/installed

$(TEST_TOOLS)/installed: tests/requirements.txt
	$(PYTHON) -m venv $(TEST_TOOLS) || { echo "python3 cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(TEST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

$(TEST_TOOLS)/benches: $(TEST_TOOLS)/installed tests/benches/requirements.txt
	$(TEST_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/benches/requirements.txt
	touch $@

clean-demo:
	rm -rf .ratchet/demo
