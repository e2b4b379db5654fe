-- Questions to people. Asked in the step that says that the task waits; answered once, by a person or by the deadline
-- (milliseconds since 1970; 0: none), whether or not somebody drives the run at that moment.
CREATE TABLE approvals (
    run_id      TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    task        TEXT   NOT NULL,
    message     TEXT   NOT NULL,
    asked_at    TEXT   NOT NULL,
    deadline    BIGINT NOT NULL,
    answered_at TEXT,
    -- yes or no
    answer      TEXT,
    answered_by TEXT,
    reason      TEXT,
    fields      TEXT,
    PRIMARY KEY (run_id, position)
);
