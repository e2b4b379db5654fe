-- A wish to end the run. It outlives the engine that was asked: whoever drives the run next finds it here.
ALTER TABLE runs ADD COLUMN cancel_asked_at TEXT;
ALTER TABLE runs ADD COLUMN cancel_asked_by TEXT;
-- The run whose finished tasks this one kept.
ALTER TABLE runs ADD COLUMN retry_of TEXT;
CREATE INDEX runs_by_status ON runs (status, id);

-- How many attempts in a row ended with the engine that ran them.
ALTER TABLE tasks ADD COLUMN losses BIGINT NOT NULL DEFAULT 0;

-- What attempts under way say, as they say it; moved to the bucket when the attempt ends.
CREATE TABLE said (
    run_id  TEXT   NOT NULL,
    task    TEXT   NOT NULL,
    attempt BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    -- log, progress or metric
    kind    TEXT   NOT NULL,
    body    TEXT   NOT NULL,
    PRIMARY KEY (run_id, task, attempt, number)
);
