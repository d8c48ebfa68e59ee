-- The facts and pointers of one acta's way. Each block is one statement.

-- Uploads as they were acknowledged, many at once; rows that exist stay as they are. In one order, so that two who
-- keep the same images wait for each other and not both. The columns are those of the tables: each takes the value that
-- has its name in the message, and what no column is named after is left out. `number` is the database's own to give.
-- name: arrive
WITH added AS (
    INSERT INTO image
    SELECT DISTINCT ON (i.sha256) i.* FROM jsonb_populate_recordset(NULL::image, $1) i ORDER BY i.sha256, i.received_at
    ON CONFLICT DO NOTHING
), current AS (
    INSERT INTO image_current (image, state, changed_at)
    SELECT a.image, 'recibida', min(a.received_at) FROM jsonb_populate_recordset(NULL::arrival, $1) a
    GROUP BY a.image ORDER BY a.image
    ON CONFLICT DO NOTHING
)
INSERT INTO arrival OVERRIDING USER VALUE
SELECT a.* FROM jsonb_populate_recordset(NULL::arrival, $1) a ORDER BY a.received_at, a.id
ON CONFLICT DO NOTHING

-- name: add_reading
INSERT INTO reading (image, text, decoder, width, height, phash, web, thumb, read_at, marks)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING

-- name: add_oddities
INSERT INTO image_oddity (image, code, at) SELECT $1, code, $3 FROM unnest($2::text[]) AS c (code) ON CONFLICT DO NOTHING

-- name: clave_of_qr
SELECT clave FROM acta WHERE qr = $1

-- name: lock_image
SELECT c.state, c.acta, a.origen, a.digitalizacion, a.acta_hint,
    EXISTS (SELECT FROM corte WHERE phase = 'final') AS closed
FROM image_current c
JOIN LATERAL (
    SELECT origen, digitalizacion, acta_hint FROM arrival WHERE image = c.image ORDER BY received_at, id LIMIT 1
) a ON true
WHERE c.image = $1
FOR UPDATE OF c

-- name: set_image
UPDATE image_current SET state = $2, acta = $3, changed_at = $4 WHERE image = $1

-- The acta of an image usually has no row yet: it is made here, and the lock that follows finds it.
-- name: tie_image
WITH opened AS (
    INSERT INTO acta_current (acta, estado, changed_at) VALUES ($2, 'Esperada', $3) ON CONFLICT DO NOTHING
)
UPDATE image_current SET state = 'identificada', acta = $2, changed_at = $3 WHERE image = $1

-- name: same_photo
SELECT a.clave, encode(r.image, 'hex') AS image
FROM reading r JOIN image_current c USING (image) JOIN acta a ON a.id = c.acta
WHERE r.image <> $1 AND c.acta <> $2 AND a.contest = (SELECT contest FROM acta WHERE id = $2)
    AND bit_count(r.phash # (SELECT phash FROM reading WHERE image = $1)) <= $3
ORDER BY a.clave
LIMIT 5

-- name: same_photo_named
SELECT DISTINCT a.clave, encode(r.image, 'hex') AS image
FROM identification s JOIN reading r USING (image) JOIN image_current c USING (image) JOIN acta a ON a.id = c.acta
WHERE s.source = 'person' AND s.image <> $1 AND c.acta <> $2
    AND bit_count(r.phash # (SELECT phash FROM reading WHERE image = $1)) <= $3
ORDER BY a.clave
LIMIT 5

-- name: images_of
SELECT c.image FROM image_current c JOIN image i ON i.sha256 = c.image WHERE c.acta = $1 ORDER BY i.received_at, c.image

-- name: settle_statements
UPDATE image_current SET settled = coalesce((SELECT max(s.id) FROM identification s WHERE s.image = $1), 0) WHERE image = $1

-- name: has_image
SELECT true FROM image_current WHERE acta = $1 AND image = $2

-- name: add_identification
INSERT INTO identification (image, source, identity, said_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: identifications
SELECT s.source, s.person, s.site, s.identity, s.proceso_tecnico, s.said_at AS at,
    s.person IS NOT NULL AND s.id > c.settled AS open
FROM identification s JOIN image_current c USING (image)
WHERE s.image = $1 ORDER BY s.id

-- name: acta_by_qr
SELECT id FROM acta WHERE qr = $1

-- name: election_of_form
SELECT e.id FROM election e
WHERE e.candidatura = $2 AND EXISTS (SELECT FROM acta WHERE acta.election = e.id AND acta.tipo_acta = $1)
ORDER BY e.id LIMIT 1

-- name: add_fuera
INSERT INTO fuera_catalogo (image, identity, election, origen, digitalizacion, found_at, decision)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: fuera_identity
SELECT f.identity FROM fuera_catalogo f WHERE f.image = $1 AND NOT EXISTS (SELECT FROM fuera_removed r WHERE r.fuera = f.id)
ORDER BY f.id DESC LIMIT 1

-- name: made_fuera
SELECT EXISTS (SELECT FROM fuera_catalogo WHERE image = $1 AND decision = $2)

-- name: remove_fuera
INSERT INTO fuera_removed (fuera, decision)
SELECT f.id, $2 FROM fuera_catalogo f
WHERE f.image = $1 AND f.decision IS DISTINCT FROM $2 AND NOT EXISTS (SELECT FROM fuera_removed r WHERE r.fuera = f.id)

-- name: open_acta
INSERT INTO acta_current (acta, estado, changed_at) VALUES ($1, 'Esperada', $2) ON CONFLICT DO NOTHING

-- name: lock_acta
SELECT c.estado, c.ronda, c.image, c.version, a.id, a.clave, a.lista_nominal, a.representantes, a.boletas_maximas,
    k.votes_per_ballot, e.rules, (SELECT count(*) FROM ballot_option o WHERE o.election = e.id)::int AS options,
    k.ballot, v.image AS version_image, v.cotejada AS version_cotejada, v.decision AS version_decision,
    EXISTS (SELECT FROM corte WHERE phase = 'final') AS closed
FROM acta_current c
JOIN acta a ON a.id = c.acta
JOIN contest k ON k.id = a.contest
JOIN election e ON e.id = a.election
LEFT JOIN acta_version v ON v.id = c.version
WHERE c.acta = $1
FOR UPDATE OF c

-- name: move_acta
UPDATE acta_current SET estado = acta_after(estado, $2), ronda = $3, image = $4, changed_at = $5 WHERE acta = $1

-- name: replace_image
UPDATE acta_current SET image = $2, changed_at = $3 WHERE acta = $1

-- name: captures
SELECT id, ordinal, person, site, typed_at, numbers, marks FROM entry WHERE acta = $1 AND ronda = $2 ORDER BY ordinal

-- name: resolution
SELECT entry, resolved_at FROM resolution WHERE acta = $1 AND ronda = $2

-- Not EXISTS: PostgreSQL may answer that from a hash of all identifications of the night.
-- Whether the image is a page that says that there is none.
-- name: says_no_image
SELECT tipo_documento = 'Constancia sin imagen' FROM arrival WHERE image = $1 ORDER BY received_at, id LIMIT 1

-- name: first_arrival
SELECT a.origen, a.digitalizacion, a.traslado, a.tipo_documento, a.acopio_at,
    coalesce((SELECT bool_or(i.proceso_tecnico) FROM identification i WHERE i.image = a.image), false) AS proceso_tecnico
FROM arrival a WHERE a.image = $1 ORDER BY a.received_at, a.id LIMIT 1

-- name: count_version
WITH added AS (
    INSERT INTO acta_version (acta, ronda, reason, person, image, numbers, marks, calculado, observations, inconsistent,
        contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, acopio_at, captura_at,
        verificacion_at, quantities, tail, decision)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $24)
    RETURNING id
), dropped AS (
    DELETE FROM task WHERE kind IN ('captura', 'resolucion') AND coalesce(acta, 0) = $1
)
UPDATE acta_current SET estado = acta_after(estado, $22), version = (SELECT id FROM added), changed_at = $23 WHERE acta = $1

-- name: version
SELECT * FROM acta_version WHERE id = $1

-- With one site of people who capture, the rule of two sites cannot hold, and is not asked for.
-- name: add_task
INSERT INTO task (kind, acta, image, ronda, ordinal, queue_at, created_at, not_persons, not_site)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE
    WHEN $9::smallint IS NULL THEN NULL
    WHEN 1 < (SELECT count(DISTINCT site) FROM person WHERE active AND role IN ('capturista', 'verificador')) THEN $9
END)
ON CONFLICT DO NOTHING

-- Tasks of an acta are found by the index that allows each but once, among however many wait.
-- name: drop_tasks
DELETE FROM task WHERE kind IN ('captura', 'resolucion') AND coalesce(acta, 0) = $1

-- name: better_image
UPDATE task SET image = $2 WHERE kind = 'captura' AND coalesce(acta, 0) = $1 AND ordinal = 1 AND lease IS NULL

-- name: add_event
INSERT INTO event (kind, subject, detail, at) VALUES ($1, $2, $3, $4)
