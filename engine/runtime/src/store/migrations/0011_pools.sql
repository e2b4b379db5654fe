-- A slot of a pool that is taken. It counts as long as its owner holds the lease of its run; then anybody may remove it.
CREATE TABLE pool_slots (
    pool     TEXT   NOT NULL,
    slot     BIGINT NOT NULL,
    run_id   TEXT   NOT NULL,
    position BIGINT NOT NULL,
    attempt  BIGINT NOT NULL,
    task     TEXT   NOT NULL,
    owner    TEXT   NOT NULL,
    taken_at TEXT   NOT NULL,
    PRIMARY KEY (pool, slot)
);
CREATE INDEX pool_slots_by_run ON pool_slots (run_id, position, attempt);

-- Who waits for slots of a pool, and when it asked last (milliseconds since 1970): who stopped asking waits no more.
CREATE TABLE pool_waiting (
    run_id   TEXT   NOT NULL,
    position BIGINT NOT NULL,
    pool     TEXT   NOT NULL,
    task     TEXT   NOT NULL,
    slots    BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    asked    BIGINT NOT NULL,
    PRIMARY KEY (run_id, position)
);
