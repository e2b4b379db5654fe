-- When a run is late (milliseconds since 1970, 0: never), and when it was found late.
ALTER TABLE runs ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN late_at TEXT;
