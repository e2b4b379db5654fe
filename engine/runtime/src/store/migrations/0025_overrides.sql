-- What somebody set beside a DAG's file, as a JSON document.
CREATE TABLE overrides (
    dag      TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    set_at   TEXT NOT NULL,
    set_by   TEXT NOT NULL
);
