-- How many votes one ballot of a contest holds: one, or several in a judicial election.

ALTER TABLE contest ADD COLUMN votes_per_ballot smallint NOT NULL DEFAULT 1 CHECK (votes_per_ballot BETWEEN 1 AND 100);
