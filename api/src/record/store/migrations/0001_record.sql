CREATE TABLE entries (
    -- Given out under a lock, so that numbers become visible in their order: whoever read up to one has missed none below it.
    sequence     BIGINT NOT NULL PRIMARY KEY,
    -- Of the prediction; of the request where it was refused.
    id           TEXT   NOT NULL,
    request      TEXT   NOT NULL,
    -- Milliseconds since 1970.
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
    -- number, binary or class.
    kind         TEXT,
    value        DOUBLE PRECISION,
    probability  DOUBLE PRECISION,
    lower_end    DOUBLE PRECISION,
    upper_end    DOUBLE PRECISION,
    slice        TEXT,
    outside      BIGINT NOT NULL,
    bytes        BIGINT NOT NULL
);
CREATE UNIQUE INDEX entries_by_id ON entries (id);
CREATE INDEX entries_by_model ON entries (model, at);

CREATE TABLE truths (
    prediction TEXT   NOT NULL PRIMARY KEY,
    sequence   BIGINT NOT NULL,
    truth      DOUBLE PRECISION NOT NULL,
    at         BIGINT NOT NULL,
    caller     TEXT   NOT NULL
);
CREATE UNIQUE INDEX truths_by_sequence ON truths (sequence);

-- The last number that was given out.
CREATE TABLE numbers (
    of_table TEXT   NOT NULL PRIMARY KEY,
    last     BIGINT NOT NULL
);
INSERT INTO numbers (of_table, last) VALUES ('entries', 0), ('truths', 0);

-- How far each table has gone to the bucket, and the segment that is on its way there.
CREATE TABLE feeds (
    feed          TEXT   NOT NULL PRIMARY KEY,
    sent          BIGINT NOT NULL,
    sending       BIGINT,
    sending_path  TEXT,
    owner         TEXT,
    leased_until  BIGINT NOT NULL
);
INSERT INTO feeds (feed, sent, leased_until) VALUES ('entries', 0, 0), ('truths', 0, 0);
