-- The work that waits for people, what they give, and what the screens show of an acta. Each block is one statement.

-- name: lease
-- $1 person, $2 site, $3 kinds in order of urgency, $4 now, $5 until, $6 new lease, $7: a task that has
-- waited for another site since before $7 may be done at the same one. Its first capture must be as old by its own clock:
-- if the clock of capture was set back meanwhile, `entry_follows` would refuse the second one.
WITH mine AS (
    SELECT id FROM task WHERE lease_person = $1 AND lease IS NOT NULL
), free AS MATERIALIZED (
    SELECT waiting.id
    FROM unnest($3::text[]) AS kinds (kind)
    CROSS JOIN LATERAL (
        SELECT id FROM task
        WHERE task.kind = kinds.kind
            AND (lease IS NULL OR lease_until <= $4)
            -- One that waits for the person who imports it stands far behind its creation, and is offered when that
            -- time has come. No other is asked for its time: the clock of this machine may be behind.
            AND (queue_at < created_at + interval '10 minutes' OR queue_at <= $4)
            AND $1 <> ALL (not_persons)
            AND (not_site IS DISTINCT FROM $2::smallint OR created_at < $7 AND NOT EXISTS (
                SELECT FROM entry e WHERE e.acta = task.acta AND e.ronda = task.ronda AND e.typed_at >= $7))
        ORDER BY queue_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) waiting
    WHERE NOT EXISTS (SELECT FROM mine) AND NOT EXISTS (SELECT FROM person WHERE id = $1 AND paused)
    LIMIT 1
), taken AS (
    UPDATE task SET lease = $6, lease_person = $1, leased_at = $4, lease_until = $5
    FROM free WHERE task.id = free.id
    RETURNING task.*
)
SELECT t.lease, t.kind, t.image, t.ronda, t.lease_until, r.image IS NOT NULL AS web, r.marks,
    ARRAY (SELECT o.code FROM image_oddity o WHERE o.image = t.image ORDER BY o.code) AS oddities, a.id AS acta, a.clave, a.contest, a.digitos,
    a.lista_nominal, a.representantes, a.boletas_maximas, k.votes_per_ballot, c.entidad,
    c.distrito_federal, c.distrito_local, c.municipio, c.seccion, c.tipo::text, c.numero, c.ext_contigua
FROM (SELECT * FROM taken UNION ALL SELECT task.* FROM task JOIN mine USING (id)) t
LEFT JOIN reading r ON r.image = t.image
LEFT JOIN acta a ON a.id = t.acta
LEFT JOIN casilla c ON c.id = a.casilla
LEFT JOIN contest k ON k.id = a.contest

-- $1 to $5 as $1 to $4 and $7 of `lease`, with the same conditions. It sees what `lease` passes over: tasks that another
-- request has locked and may still give up, and the one that another request of this person has just been given.
-- name: lease_again
SELECT EXISTS (SELECT FROM task WHERE lease_person = $1 AND lease IS NOT NULL)
    OR NOT EXISTS (SELECT FROM person WHERE id = $1 AND paused)
    AND EXISTS (
        SELECT FROM task
        WHERE task.kind = ANY ($3::text[])
            AND (lease IS NULL OR lease_until <= $4)
            AND (queue_at < created_at + interval '10 minutes' OR queue_at <= $4)
            AND $1 <> ALL (not_persons)
            AND (not_site IS DISTINCT FROM $2::smallint OR created_at < $5 AND NOT EXISTS (
                SELECT FROM entry e WHERE e.acta = task.acta AND e.ronda = task.ronda AND e.typed_at >= $5))
    )

-- A hidden known acta (control) waits for nobody: it ends when it is given back.
-- name: give_back_expired
WITH ended AS (
    DELETE FROM task WHERE kind = 'control' AND lease_person = $1 AND lease IS NOT NULL AND lease_until <= $2
)
UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
WHERE kind <> 'control' AND lease_person = $1 AND lease IS NOT NULL AND lease_until <= $2

-- name: give_back
WITH ended AS (
    DELETE FROM task WHERE kind = 'control' AND lease = $1 AND lease_person = $2
)
UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
WHERE kind <> 'control' AND lease = $1 AND lease_person = $2

-- $1 person, $2 site, $3 now, $4 until, $5 new lease, $6 as $7 of `lease`, $7: a task that has waited since before is overdue.
-- Only in the place of a capture that this person would get now, and of an acta that no corte holds yet: nobody can look
-- its values up.
-- name: draw_control
WITH ended AS (
    DELETE FROM task WHERE kind = 'control' AND lease_until <= $3
), allowed AS MATERIALIZED (
    SELECT WHERE NOT EXISTS (SELECT FROM task WHERE lease_person = $1 AND lease IS NOT NULL)
        AND NOT EXISTS (SELECT FROM person WHERE id = $1 AND paused)
        AND EXISTS (
            SELECT FROM task
            WHERE kind = 'captura' AND (lease IS NULL OR lease_until <= $3) AND $1 <> ALL (not_persons)
                AND (not_site IS DISTINCT FROM $2::smallint OR created_at < $6 AND NOT EXISTS (
                SELECT FROM entry e WHERE e.acta = task.acta AND e.ronda = task.ronda AND e.typed_at >= $6))
        )
        AND NOT EXISTS (
            SELECT FROM task
            WHERE kind IN ('captura', 'resolucion') AND (lease IS NULL OR lease_until <= $3) AND created_at < $7
        )
), known AS (
    SELECT c.acta, c.image, c.ronda
    FROM (SELECT * FROM acta_current WHERE estado = 'Verificada' LIMIT 200) c
    JOIN acta_version v ON v.id = c.version AND v.image = c.image AND v.reason IN ('captura', 'recaptura')
    WHERE EXISTS (SELECT FROM allowed)
        AND NOT EXISTS (SELECT FROM entry e WHERE e.acta = c.acta AND e.person = $1)
        AND NOT EXISTS (SELECT FROM resolution r WHERE r.acta = c.acta AND r.person = $1)
        AND NOT EXISTS (SELECT FROM control_capture k WHERE k.acta = c.acta AND k.person = $1)
    ORDER BY random()
    LIMIT 1
)
INSERT INTO task (kind, acta, image, ronda, ordinal, queue_at, created_at, not_persons, lease, lease_person, leased_at, lease_until)
SELECT 'control', acta, image, ronda, 1, $3, $3, '{}', $5, $1, $3, $4 FROM known
ON CONFLICT DO NOTHING

-- name: task
SELECT t.id, t.lease, t.kind, t.image, t.ronda, t.ordinal, t.lease_person, t.lease_until, a.id AS acta, a.contest, a.digitos,
    a.lista_nominal, a.representantes, a.boletas_maximas, k.votes_per_ballot
FROM task t LEFT JOIN acta a ON a.id = t.acta LEFT JOIN contest k ON k.id = a.contest
WHERE t.lease = $1

-- The task, the fact and the word of it in one statement: this is what a night does most.
-- name: add_capture
WITH gone AS (
    DELETE FROM task WHERE id = $1 AND lease = $2 RETURNING acta, ronda, ordinal, image, lease_person, lease, leased_at
), added AS (
    INSERT INTO entry (acta, ronda, ordinal, image, person, site, lease, leased_at, typed_at, numbers, marks)
    SELECT acta, ronda, ordinal, image, lease_person, $3, lease, leased_at, $4, $5, $6 FROM gone
    RETURNING id
), told AS (
    INSERT INTO outbox (id, topic, key, body, type, source) SELECT $7, $8, $9, $10, $11, $12 FROM added
    RETURNING pg_notify('outbox', '')
), noted AS (
    INSERT INTO capture_note (entry, letters, milliseconds, keys) SELECT id, $13, $14, $15 FROM added WHERE $16
)
SELECT added.id FROM added, told

-- name: add_control_capture
WITH gone AS (
    DELETE FROM task WHERE id = $1 AND lease = $2 AND kind = 'control' RETURNING acta, image, lease_person, lease, leased_at
)
INSERT INTO control_capture (acta, image, person, site, lease, leased_at, typed_at, numbers, marks, letters, milliseconds, keys)
SELECT acta, image, lease_person, $3, lease, leased_at, $4, $5, $6, $7, $8, $9 FROM gone
RETURNING id

-- name: capture_by_lease
SELECT e.id, e.person, e.ronda, e.numbers, e.marks, a.id AS acta, a.contest, a.digitos, a.lista_nominal, a.representantes, a.boletas_maximas,
    k.votes_per_ballot
FROM (
    SELECT id, person, acta, ronda, numbers, marks FROM entry WHERE lease = $1
    UNION ALL
    SELECT id, person, acta, 0, numbers, marks FROM control_capture WHERE lease = $1
) e
JOIN acta a ON a.id = e.acta JOIN contest k ON k.id = a.contest

-- name: add_identification
WITH gone AS (
    DELETE FROM task WHERE id = $1 AND lease = $2 RETURNING image, lease_person, lease
)
INSERT INTO identification (image, source, person, site, lease, identity, proceso_tecnico, said_at)
SELECT image, 'person', lease_person, $3, lease, $4, $5, $6 FROM gone
RETURNING true

-- name: identification_by_lease
SELECT person, identity, proceso_tecnico FROM identification WHERE lease = $1

-- name: add_resolution
WITH gone AS (
    DELETE FROM task WHERE id = $1 AND lease = $2 RETURNING acta, ronda, lease_person, lease
)
INSERT INTO resolution (acta, ronda, entry, person, lease, resolved_at)
SELECT acta, ronda, $3, lease_person, lease, $4 FROM gone
RETURNING true

-- name: resolution_by_lease
SELECT e.id, r.person, e.ronda, e.numbers, e.marks, a.id AS acta, a.contest, a.digitos, a.lista_nominal, a.representantes,
    a.boletas_maximas, k.votes_per_ballot
FROM resolution r JOIN entry e ON e.id = r.entry JOIN acta a ON a.id = r.acta JOIN contest k ON k.id = a.contest
WHERE r.lease = $1

-- name: image_for
SELECT i.format, r.web, EXISTS (
    SELECT FROM task t
    WHERE t.lease_person = $2 AND t.lease IS NOT NULL AND t.image = i.sha256 AND t.lease_until > $3
) AS held
FROM image i LEFT JOIN reading r ON r.image = i.sha256
WHERE i.sha256 = $1

-- name: acta_id
SELECT a.id FROM acta a JOIN election e ON e.id = a.election WHERE e.code = $1 AND a.clave = $2

-- name: acta_state
SELECT coalesce(c.estado, 'Esperada') AS estado, coalesce(c.ronda, 0) AS ronda, c.image, v.observations,
    v.contabilizada, v.cotejada, a.contest, a.qr
FROM acta a
LEFT JOIN acta_current c ON c.acta = a.id
LEFT JOIN acta_version v ON v.id = c.version AND v.reason <> 'retiro'
WHERE a.id = $1

-- name: acta_images
SELECT i.sha256, i.format, i.bytes, i.received_at
FROM image_current c JOIN image i ON i.sha256 = c.image
WHERE c.acta = $1
ORDER BY i.received_at, i.sha256

-- name: acta_captures
SELECT e.ronda, e.ordinal, e.typed_at, e.numbers, e.marks, coalesce(n.letters, '{}') AS letters
FROM entry e LEFT JOIN capture_note n ON n.entry = e.id
WHERE e.acta = $1 ORDER BY e.ronda, e.ordinal

-- name: elections
SELECT id, code, title, ambito FROM election

-- name: options
SELECT election, position, code, name FROM ballot_option ORDER BY election, position

-- name: contests
SELECT id, election, name, ballot FROM contest

-- name: layouts
SELECT contest, layout FROM form_layout

-- name: territories
SELECT kind, entidad, id, name FROM territory

-- name: municipios
SELECT c.entidad::int, e.name AS nombre_entidad, c.municipio::int, m.name AS nombre
FROM (SELECT DISTINCT entidad, municipio FROM casilla) c
LEFT JOIN territory e ON e.kind = 'entidad' AND e.entidad = c.entidad AND e.id = c.entidad
LEFT JOIN territory m ON m.kind = 'municipio' AND m.entidad = c.entidad AND m.id = c.municipio
ORDER BY c.entidad, c.municipio

-- name: secciones
SELECT DISTINCT seccion::int FROM casilla WHERE entidad = $1 AND municipio = $2 ORDER BY seccion

-- name: actas_of_seccion
SELECT c.tipo::text, c.numero::int, c.ext_contigua::int, e.code AS eleccion, a.clave, e.title AS titulo, a.qr AS identidad
FROM casilla c JOIN acta a ON a.casilla = c.id JOIN election e ON e.id = a.election
WHERE c.entidad = $1 AND c.municipio = $2 AND c.seccion = $3
ORDER BY c.tipo, c.numero, c.ext_contigua, e.id, a.qr

-- name: board_waiting
SELECT t.kind AS que, t.ordinal::int, s.code AS no_sitio, count(*) AS cuantas, min(t.created_at) AS desde,
    count(*) FILTER (WHERE t.lease_until > $1) AS en_manos
FROM task t LEFT JOIN site s ON s.id = t.not_site
WHERE t.kind <> 'control'
GROUP BY t.kind, t.ordinal, s.code
ORDER BY min(t.created_at)

-- name: board_actas
SELECT coalesce(k.estado, 'Esperada') AS estado, count(*) AS cuantas
FROM acta a LEFT JOIN acta_current k ON k.acta = a.id
GROUP BY 1
ORDER BY 1

-- $1 now, $2 since when the speed is measured
-- name: board_people
SELECT p.login AS usuario, p.role AS rol, s.code AS sitio, count(e.id) AS capturas,
    count(e.id) FILTER (WHERE e.typed_at > $2) AS recientes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM e.typed_at - e.leased_at)::float8)
        FILTER (WHERE e.typed_at > $2) AS mediana_segundos,
    max(e.typed_at) AS ultima,
    (SELECT t.leased_at FROM task t WHERE t.lease_person = p.id AND t.lease_until > $1 LIMIT 1) AS ocupada_desde
FROM person p JOIN site s ON s.id = p.site LEFT JOIN entry e ON e.person = p.id
WHERE p.active AND (e.id IS NOT NULL OR p.role = ANY ($3::text[]))
GROUP BY p.id, s.code
ORDER BY s.code, p.login
