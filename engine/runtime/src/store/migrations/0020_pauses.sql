-- DAGs that start nothing by themselves, until somebody ends the pause.
CREATE TABLE pauses (
    dag       TEXT NOT NULL PRIMARY KEY,
    paused_at TEXT NOT NULL,
    paused_by TEXT NOT NULL
);
