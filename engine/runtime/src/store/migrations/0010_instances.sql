-- Instances of a task with a list are rows behind those of the DAG's tasks: the position of that task, the place in its
-- list, the key, and the item itself.
ALTER TABLE tasks ADD COLUMN instance_of BIGINT;
ALTER TABLE tasks ADD COLUMN instance_index BIGINT;
ALTER TABLE tasks ADD COLUMN instance_key TEXT;
ALTER TABLE tasks ADD COLUMN item TEXT;

-- Instances that succeeded in the run that this one repeats. They become rows when the list is known, if it still has
-- their item under their key.
CREATE TABLE kept_instances (
    run_id  TEXT NOT NULL,
    task    TEXT NOT NULL,
    key     TEXT NOT NULL,
    item    TEXT NOT NULL,
    outputs TEXT NOT NULL,
    PRIMARY KEY (run_id, task, key)
);
