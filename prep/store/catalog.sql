-- The actas that a night expects. Loaded whole by the owner; read by everybody.

-- One load at a time; the next one finds what this one committed.
-- name: lock
LOCK TABLE catalog IN EXCLUSIVE MODE

-- Before a replacement: nobody may read the old digest and use it after this transaction.
-- name: lock_from_readers
LOCK TABLE catalog IN ACCESS EXCLUSIVE MODE

-- name: corte_is_out
SELECT EXISTS (SELECT FROM corte)

-- What the sequencer begins the log with: from then on the first leaf tells the catalogue's digest.
-- name: night_began
SELECT EXISTS (SELECT FROM log_start) OR EXISTS (SELECT FROM arrival) OR EXISTS (SELECT FROM event)
    OR EXISTS (SELECT FROM ceremony)

-- name: remove
WITH a AS (DELETE FROM acta), b AS (DELETE FROM casilla), c AS (DELETE FROM candidacy), d AS (DELETE FROM contest),
    e AS (DELETE FROM territory), f AS (DELETE FROM ballot_option), g AS (DELETE FROM election), h AS (DELETE FROM catalog_file),
    i AS (DELETE FROM form_layout), j AS (DELETE FROM territory_map)
DELETE FROM catalog

-- name: sites_in_use
SELECT s.code FROM site s
WHERE s.code <> ALL ($1::text[])
    AND (EXISTS (SELECT FROM person p WHERE p.site = s.id) OR EXISTS (SELECT FROM device d WHERE d.site = s.id))
ORDER BY s.code

-- name: remove_sites
DELETE FROM site WHERE code <> ALL ($1::text[])

-- name: put_sites
INSERT INTO site (code, name) SELECT * FROM unnest($1::text[], $2::text[]) AS listed (code, name)
ON CONFLICT (code) DO UPDATE SET name = excluded.name

-- name: record_load
INSERT INTO catalog_load (digest, replaced, warnings, by_person, with_person, at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: digest
SELECT digest FROM catalog

-- name: add
INSERT INTO catalog (digest, loaded_at) VALUES ($1, $2)

-- What slows a load of half a million rows: checked whole at the end of it instead of row by row.
-- name: checks
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS remove,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS restore
FROM pg_constraint
WHERE conrelid = ANY ('{acta,casilla}'::regclass[]) AND contype IN ('f', 'u')
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index i
WHERE indrelid = ANY ('{acta,casilla}'::regclass[]) AND NOT indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)

-- Until it knows the sizes, the planner reads whole tables. Of the catalogue only: a table of the night that was counted
-- while it is empty is read whole until it is counted again; one that never was is looked up by its index.
-- name: count
ANALYZE election, ballot_option, territory, contest, candidacy, casilla, acta

-- name: published
SELECT name, content FROM catalog_file

-- name: maps
SELECT kind, drawing FROM territory_map

-- name: elections
SELECT id, code, title, year, ambito, nivel, rules, candidatura FROM election ORDER BY id

-- name: options
SELECT election, position, code, clase, parties, name, colour, emblem FROM ballot_option ORDER BY election, position

-- name: contests
SELECT id, election, entidad, territory, name, ballot, votes_per_ballot FROM contest ORDER BY id

-- name: territories
SELECT kind, entidad, id, name FROM territory ORDER BY kind, entidad, id

-- name: candidacies
SELECT contest, options, propietario, suplente FROM candidacy ORDER BY id
