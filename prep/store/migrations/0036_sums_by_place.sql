-- The sums of a corte by contest and place, from which the next corte goes on: it adds up the actas that changed, and not
-- the catalogue. Nobody trusts them: the gate adds up every row of the files. NULL in cortes of earlier releases.

ALTER TABLE corte ADD COLUMN by_place jsonb;
