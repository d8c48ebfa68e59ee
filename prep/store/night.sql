-- The declaration of the night, and how far the night has come.

-- name: standing
SELECT n.content, n.policy, z.at AS opened_at, f.at AS closed_at, clock_timestamp() AS clock,
    EXISTS (SELECT FROM form_layout) AS layouts
FROM night n
LEFT JOIN corte z ON z.number = 0
LEFT JOIN corte f ON f.phase = 'final'

-- name: logo
SELECT logo FROM night

-- name: clock
SELECT clock_timestamp() AS at

-- Nothing may refer to the old declaration while it is taken away: a publisher or a sequencer that began under it waits.
-- name: lock
LOCK TABLE night, corte, log_start IN SHARE ROW EXCLUSIVE MODE

-- name: fixed
SELECT EXISTS (SELECT FROM corte) OR EXISTS (SELECT FROM log_start)

-- name: remove
DELETE FROM night

-- name: declare
INSERT INTO night (digest, content, policy, logo, simulacro, ensayo, ceremony, starts_at, ends_at, declared_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: entidades
SELECT id, name FROM territory WHERE kind = 'entidad' ORDER BY id

-- Images that arrived after the last corte, with the acta that its sender named.
-- name: late
SELECT a.image, a.device, a.sequence, a.received_at, a.acta_hint
FROM arrival a WHERE a.received_at > (SELECT at FROM corte WHERE phase = 'final')
ORDER BY a.received_at, a.id

-- Other processes of this database that could write while its tables are emptied.
-- name: others
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'prep%'

-- Every table of ours besides those that stay ($1).
-- name: emptied
SELECT c.relname AS name FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relname = ANY ($1)
ORDER BY c.relname
