-- The run and the task within which this run was made, once for each of them.
ALTER TABLE runs ADD COLUMN parent_run TEXT;
ALTER TABLE runs ADD COLUMN parent_task TEXT;
CREATE UNIQUE INDEX runs_within_runs ON runs (parent_run, parent_task) WHERE parent_run IS NOT NULL;
