CREATE TABLE runs (
    id             TEXT   NOT NULL PRIMARY KEY,
    dag            TEXT   NOT NULL,
    status         TEXT   NOT NULL,
    started_by     TEXT   NOT NULL,
    actor          TEXT   NOT NULL,
    params         TEXT   NOT NULL,
    logical_date   TEXT   NOT NULL,
    interval_start TEXT   NOT NULL,
    created_at     TEXT   NOT NULL,
    finished_at    TEXT,
    dag_text       TEXT   NOT NULL,
    file_name      TEXT   NOT NULL,
    -- Raised by every transition, first thing: the lock that puts all events of a run in one order.
    version        BIGINT NOT NULL,
    -- Who drives it, and until when (milliseconds since 1970) nobody else may.
    owner          TEXT,
    lease_until    BIGINT NOT NULL
);
CREATE INDEX runs_by_dag ON runs (dag, id);
CREATE UNIQUE INDEX runs_once_a_tick ON runs (dag, logical_date) WHERE started_by = 'schedule';

CREATE TABLE tasks (
    run_id      TEXT   NOT NULL REFERENCES runs (id),
    position    BIGINT NOT NULL,
    id          TEXT   NOT NULL,
    uses        TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    skip_cause  TEXT,
    reason      TEXT,
    attempts    BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    started_at  TEXT,
    finished_at TEXT,
    seconds     DOUBLE PRECISION,
    retry_at    TEXT,
    outputs     TEXT   NOT NULL,
    error       TEXT,
    promotions  TEXT   NOT NULL,
    PRIMARY KEY (run_id, position)
);

CREATE TABLE attempts (
    run_id      TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    started_at  TEXT   NOT NULL,
    finished_at TEXT,
    outcome     TEXT,
    error       TEXT,
    PRIMARY KEY (run_id, position, attempt)
);

CREATE TABLE events (
    run_id TEXT   NOT NULL,
    number BIGINT NOT NULL,
    at     TEXT   NOT NULL,
    body   TEXT   NOT NULL,
    PRIMARY KEY (run_id, number)
);
