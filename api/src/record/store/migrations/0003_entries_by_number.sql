-- In a file, a table whose key is an INTEGER is that key's tree; with any other key the tree stands beside it and is written, too.
CREATE TABLE entries_by_number (
    sequence     INTEGER NOT NULL PRIMARY KEY,
    id           TEXT   NOT NULL,
    request      TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    microseconds BIGINT NOT NULL,
    path         TEXT   NOT NULL,
    caller       TEXT,
    status       BIGINT NOT NULL,
    error        TEXT,
    model        TEXT,
    version      BIGINT,
    digest       TEXT,
    alias        TEXT,
    inputs       TEXT,
    answer       TEXT,
    kind         TEXT,
    value        DOUBLE PRECISION,
    probability  DOUBLE PRECISION,
    lower_end    DOUBLE PRECISION,
    upper_end    DOUBLE PRECISION,
    slice        TEXT,
    outside      BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    beside       TEXT
);
INSERT INTO entries_by_number SELECT sequence, id, request, at, microseconds, path, caller, status, error, model, version, digest, alias,
    inputs, answer, kind, value, probability, lower_end, upper_end, slice, outside, bytes, beside FROM entries;
DROP TABLE entries;
ALTER TABLE entries_by_number RENAME TO entries;
CREATE UNIQUE INDEX entries_by_id ON entries (id);
CREATE INDEX entries_by_model ON entries (model, at);
