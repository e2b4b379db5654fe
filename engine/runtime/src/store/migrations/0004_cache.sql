-- What decided a task's outputs, where somebody asked for that to be remembered.
ALTER TABLE tasks ADD COLUMN cache_key TEXT;
CREATE INDEX tasks_by_cache_key ON tasks (cache_key, run_id) WHERE cache_key IS NOT NULL;
