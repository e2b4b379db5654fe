-- A tick has one run, whether the schedule or a backfill makes it; and a run is repeated by one run of a backfill.
DROP INDEX runs_once_a_tick;
CREATE UNIQUE INDEX runs_once_a_tick ON runs (dag, logical_date)
    WHERE started_by IN ('schedule', 'backfill') AND retry_of IS NULL;
CREATE UNIQUE INDEX runs_repeated_once ON runs (retry_of) WHERE started_by = 'backfill';
CREATE INDEX runs_by_date ON runs (dag, logical_date, id);

-- Ticks of the past that somebody wants runs for.
CREATE TABLE backfills (
    id           TEXT   NOT NULL PRIMARY KEY,
    dag          TEXT   NOT NULL,
    from_date    TEXT   NOT NULL,
    to_date      TEXT   NOT NULL,
    missing_only BIGINT NOT NULL,
    max_active   BIGINT NOT NULL,
    params       TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    created_at   TEXT   NOT NULL,
    finished_at  TEXT,
    stopped_by   TEXT,
    dag_text     TEXT   NOT NULL,
    file_name    TEXT   NOT NULL,
    -- Raised first by whoever starts runs of it: the lock that keeps `max_active`.
    version      BIGINT NOT NULL,
    -- What a client calls the request, and a digest of the request.
    request_key  TEXT,
    request      TEXT
);
CREATE UNIQUE INDEX backfills_by_request ON backfills (request_key);

CREATE TABLE backfill_dates (
    backfill_id    TEXT NOT NULL REFERENCES backfills (id),
    logical_date   TEXT NOT NULL,
    interval_start TEXT NOT NULL,
    -- run, repeat or keep
    plan           TEXT NOT NULL,
    -- The run that stood for the date before.
    found          TEXT,
    -- The run that the backfill made.
    run_id         TEXT,
    PRIMARY KEY (backfill_id, logical_date)
);
CREATE INDEX backfill_dates_by_run ON backfill_dates (run_id);
