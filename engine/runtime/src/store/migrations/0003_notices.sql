-- What somebody has to be told and was not told yet. Written with what it tells, removed when it was told.
CREATE TABLE notices (
    run_id TEXT   NOT NULL,
    number BIGINT NOT NULL,
    body   TEXT   NOT NULL,
    PRIMARY KEY (run_id, number)
);
