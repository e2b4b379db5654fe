-- Rows of record collections, as they are now.
CREATE TABLE records (
    collection TEXT   NOT NULL,
    -- The values of the key's fields as a JSON list.
    record_key TEXT   NOT NULL,
    content    TEXT   NOT NULL,
    -- Milliseconds since 1970.
    at         BIGINT NOT NULL,
    caller     TEXT   NOT NULL,
    PRIMARY KEY (collection, record_key)
);

-- What changed, until it is in the bucket.
CREATE TABLE record_changes (
    sequence   BIGINT NOT NULL PRIMARY KEY,
    collection TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    line       TEXT   NOT NULL
);
CREATE INDEX record_changes_by_collection ON record_changes (collection, sequence);
INSERT INTO numbers (of_table, last) VALUES ('records', 0);

-- The prediction that was given where this one ran beside it.
ALTER TABLE entries ADD COLUMN beside TEXT;
