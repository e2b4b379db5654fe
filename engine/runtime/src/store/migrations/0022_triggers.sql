-- What each trigger of a DAG saw last, and how it fares. The key is how the trigger reads in the DAG.
CREATE TABLE triggers (
    dag           TEXT   NOT NULL,
    trigger_key   TEXT   NOT NULL,
    -- JSON
    seen          TEXT   NOT NULL,
    -- Raised with each change of what was seen: of two who saw the same change, one raises it.
    number        BIGINT NOT NULL,
    first_seen_at TEXT   NOT NULL,
    -- Retrains in a row that gave no better model.
    fruitless     BIGINT NOT NULL,
    paused_at     TEXT,
    paused_reason TEXT,
    PRIMARY KEY (dag, trigger_key)
);

-- What happened that a run shall follow. The event's name is the same for whoever sees it.
CREATE TABLE trigger_events (
    dag         TEXT NOT NULL,
    trigger_key TEXT NOT NULL,
    event       TEXT NOT NULL,
    at          TEXT NOT NULL,
    -- For people.
    what        TEXT NOT NULL,
    -- What it is about, if that can pass: a version that may be replaced.
    subject     TEXT,
    params      TEXT NOT NULL,
    -- waiting, started or dropped
    outcome     TEXT NOT NULL,
    run_id      TEXT,
    PRIMARY KEY (dag, trigger_key, event)
);
CREATE INDEX trigger_events_by_outcome ON trigger_events (outcome, dag);
CREATE INDEX trigger_events_by_run ON trigger_events (run_id);

-- One row a DAG: whoever starts its triggered runs raises the version first.
CREATE TABLE triggered_dags (
    dag     TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Runs that triggers started; judged once each.
CREATE TABLE triggered_runs (
    run_id TEXT   NOT NULL PRIMARY KEY,
    dag    TEXT   NOT NULL,
    judged BIGINT NOT NULL
);
CREATE INDEX triggered_runs_by_judged ON triggered_runs (judged);
