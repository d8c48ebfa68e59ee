-- How long a message has been waiting for the relay.

ALTER TABLE outbox ADD COLUMN added_at timestamptz NOT NULL DEFAULT now();
