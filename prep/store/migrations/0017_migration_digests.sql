-- The SHA-256 of each migration as it was applied: a file that changes afterwards stops the start.

-- NULL only until `prep migrate` ends: it fills in those that were applied before this column.
ALTER TABLE migration ADD COLUMN sha256 bytea CHECK (length(sha256) = 32);
