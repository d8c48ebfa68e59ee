-- How often a message was tried before it was set aside, over all its retries.

ALTER TABLE parked ADD COLUMN attempts integer NOT NULL DEFAULT 1;
