-- The attributes of CloudEvents that a message carries beside its body. A message from before has an empty type.

ALTER TABLE bus_message
    ADD COLUMN type text NOT NULL DEFAULT '',
    ADD COLUMN source text NOT NULL DEFAULT '',
    ADD COLUMN happened_at timestamptz;
ALTER TABLE outbox
    ADD COLUMN type text NOT NULL DEFAULT '',
    ADD COLUMN source text NOT NULL DEFAULT '',
    ADD COLUMN happened_at timestamptz;         -- NULL: the moment at which it was added here
ALTER TABLE parked
    ADD COLUMN type text NOT NULL DEFAULT '',
    ADD COLUMN source text NOT NULL DEFAULT '',
    ADD COLUMN happened_at timestamptz;
