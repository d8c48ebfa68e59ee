-- Facts as the log tells of them. The block of each kind gives `reference` and the columns that its leaf needs; log.py
-- chooses among its rows: those without a leaf, or those of some leaves.

-- name: inicio
SELECT 0::bigint AS reference, s.at, s.origen, s.simulacro, s.catalogo, s.reglas, s.politica, s.clave, s.declaracion,
    (SELECT array_agg(k.nombre ORDER BY k.id) FROM log_key k WHERE k.id <= s.keys AND k.de = 'dispositivo') AS nombres,
    (SELECT array_agg(k.public_key ORDER BY k.id) FROM log_key k WHERE k.id <= s.keys AND k.de = 'dispositivo') AS claves
FROM log_start s

-- name: rotacion
SELECT k.id AS reference, k.de, k.nombre, k.public_key, k.at
FROM log_key k WHERE k.id > (SELECT s.keys FROM log_start s)

-- name: imagen
SELECT a.number AS reference, a.image, i.bytes, a.device, a.sequence, a.received_at
FROM arrival a JOIN image i ON i.sha256 = a.image

-- The acta whose sticker was read, if it is one of the catalogue: the reading and its QR commit together.
-- name: derivada
SELECT r.number AS reference, r.image, r.web, a.clave
FROM reading r
LEFT JOIN identification i ON i.image = r.image AND i.source = 'qr'
LEFT JOIN acta a ON a.qr = i.identity

-- Statements of people. Each names its person by a pseudonym, which `secret` makes.
-- name: captura
SELECT e.id AS reference, e.salt, s.secret, e.person, n.code, a.clave, e.ronda, e.ordinal, e.numbers, e.marks
FROM log_start s, entry e JOIN acta a ON a.id = e.acta JOIN election n ON n.id = a.election

-- name: resolucion
SELECT r.number AS reference, r.salt, s.secret, r.person, n.code, a.clave, r.ronda, e.ordinal
FROM log_start s, resolution r JOIN entry e ON e.id = r.entry JOIN acta a ON a.id = r.acta
JOIN election n ON n.id = a.election

-- name: sin_acta
SELECT w.number AS reference, w.salt, s.secret, w.person, n.code, a.clave, w.reason
FROM log_start s, statement w JOIN acta a ON a.id = w.acta JOIN election n ON n.id = a.election
WHERE w.kind = 'sin_acta'

-- name: identidad
SELECT w.number AS reference, w.salt, s.secret, w.person, n.code, a.clave, w.image
FROM log_start s, statement w LEFT JOIN acta a ON a.id = w.acta LEFT JOIN election n ON n.id = a.election
WHERE w.kind = 'identidad'

-- name: cotejo
SELECT v.id AS reference, v.salt, s.secret, v.person, n.code, a.clave, v.ronda, v.cotejada
FROM log_start s, acta_version v JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.reason = 'cotejo'

-- name: version
SELECT v.id AS reference, n.code, a.clave, v.quantities, a.lista_nominal, a.representantes, v.tail
FROM acta_version v JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election

-- name: incidente
SELECT e.id AS reference, e.kind, e.subject, e.detail, e.at
FROM event e
WHERE e.kind IN ('compuerta', 'corte_sin_sello', 'decision', 'identidad_difiere', 'imagen_sin_identidad', 'incidente_publicado',
    'incidente_terminado', 'mensaje_apartado', 'mensaje_descartado', 'mensaje_reintentado', 'misma_foto', 'recaptura', 'testigo_niega')

-- name: perdida
SELECT d.id AS reference, d.device, d.numbers, d.reason, d.at FROM device_loss d

-- name: corte
SELECT c.number::bigint AS reference, c.phase, c.sums, c.at FROM corte c

-- name: cierre
SELECT c.number::bigint AS reference, c.sums FROM corte c WHERE c.phase = 'final'

-- name: software
SELECT c.id AS reference, c.momento, c.content, c.at FROM ceremony c WHERE c.kind = 'software'

-- name: cero
SELECT c.id AS reference, c.content, c.at,
    (SELECT s.content FROM ceremony s WHERE s.kind = 'software' AND s.id < c.id ORDER BY s.id DESC LIMIT 1) AS software
FROM ceremony c WHERE c.kind = 'cero'

-- name: acto
SELECT c.id AS reference, c.momento, c.content, c.at, k.number, k.sums
FROM ceremony c JOIN corte k ON k.phase = CASE c.momento WHEN 'inicio' THEN 'cero' ELSE 'final' END
WHERE c.kind = 'acto'

-- The transactions that may yet commit a fact with a lower number than one already seen: each that took a number holds
-- this lock until it ends, in any way.
-- name: writers
SELECT DISTINCT virtualtransaction || ' ' || coalesce(pid, 0) AS writer
FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation IN ('arrival'::regclass, 'reading'::regclass, 'entry'::regclass, 'resolution'::regclass, 'acta_version'::regclass,
        'proposal'::regclass, 'confirmation'::regclass, 'identification'::regclass, 'event'::regclass, 'device_loss'::regclass, 'corte'::regclass, 'log_key'::regclass, 'ceremony'::regclass)

-- name: marks
SELECT kind, max(reference) AS reference FROM log_leaf GROUP BY kind

-- name: begin
INSERT INTO log_start (at, origen, simulacro, catalogo, reglas, politica, clave, declaracion, keys)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce((SELECT max(id) FROM log_key), 0)

-- name: start
SELECT at, origen, simulacro, catalogo, reglas, politica, clave, declaracion FROM log_start

-- name: anything
SELECT EXISTS (SELECT FROM arrival) OR EXISTS (SELECT FROM entry) OR EXISTS (SELECT FROM acta_version)
    OR EXISTS (SELECT FROM event) OR EXISTS (SELECT FROM corte) OR EXISTS (SELECT FROM ceremony)

-- name: learn_devices
INSERT INTO log_key (de, nombre, public_key, at)
SELECT 'dispositivo', d.id, d.public_key, d.enrolled_at
FROM device d
WHERE NOT EXISTS (SELECT FROM log_key k WHERE k.de = 'dispositivo' AND k.nombre = d.id AND k.public_key = d.public_key)
ORDER BY d.enrolled_at, d.id

-- name: length
SELECT coalesce(max(index) + 1, 0) FROM log_leaf

-- name: add
INSERT INTO log_leaf (index, kind, reference, device, content)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])

-- name: leaves
SELECT index, kind, reference, content FROM log_leaf WHERE index >= $1 ORDER BY index LIMIT $2

-- name: last_of_devices
SELECT d.device, l.content
FROM unnest($1::text[]) AS d (device)
JOIN LATERAL (SELECT content FROM log_leaf WHERE device = d.device ORDER BY index DESC LIMIT 1) l ON true

-- name: cortes
SELECT reference::int AS number, index FROM log_leaf WHERE kind = 'corte' ORDER BY reference

-- The statements behind the versions that corte $1 brought out: those of a version's round, the cotejos since the version
-- of its acta that was out before, those of its decision, and those that say its image is of its acta. Each is opened
-- once. Each block gives the index and the reference of their leaves.
-- name: openings_captura
SELECT l.index, l.reference
FROM publication p
JOIN acta_version v ON v.id = p.version AND v.reason IN ('captura', 'recaptura')
JOIN entry e ON e.acta = v.acta AND e.ronda = v.ronda
JOIN log_leaf l ON l.kind = 'captura' AND l.reference = e.id
WHERE p.corte = $1
ORDER BY l.index

-- name: openings_resolucion
SELECT l.index, l.reference
FROM publication p
JOIN acta_version v ON v.id = p.version AND v.reason IN ('captura', 'recaptura')
JOIN resolution r ON r.acta = v.acta AND r.ronda = v.ronda
JOIN log_leaf l ON l.kind = 'resolucion' AND l.reference = r.number
WHERE p.corte = $1
ORDER BY l.index

-- name: openings_sin_acta
SELECT l.index, l.reference
FROM publication p
JOIN acta_version v ON v.id = p.version AND v.reason = 'sin_acta'
JOIN statement w ON w.proposal = v.decision AND w.kind = 'sin_acta'
JOIN log_leaf l ON l.kind = 'sin_acta' AND l.reference = w.number
WHERE p.corte = $1 AND NOT EXISTS (
    SELECT FROM acta_version u JOIN publication q ON q.version = u.id
    WHERE u.acta = v.acta AND u.decision = v.decision AND u.reason = 'sin_acta' AND q.corte < p.corte
)
ORDER BY l.index

-- Statements that a corte before could not open: it did not show this image under this acta, or is older than they are.
-- name: openings_identidad
SELECT l.index, l.reference
FROM publication p
JOIN acta_version v ON v.id = p.version
JOIN statement w ON w.image = v.image AND w.acta = v.acta AND w.kind = 'identidad' AND w.holds
JOIN log_leaf l ON l.kind = 'identidad' AND l.reference = w.number
JOIN log_leaf k ON k.kind = 'corte' AND k.reference = p.corte AND k.index > l.index
WHERE p.corte = $1 AND NOT EXISTS (
    SELECT FROM acta_version u JOIN publication q ON q.version = u.id
    JOIN log_leaf m ON m.kind = 'corte' AND m.reference = q.corte AND m.index > l.index
    WHERE u.acta = v.acta AND u.image = v.image AND q.corte < p.corte
)
UNION ALL
SELECT l.index, l.reference
FROM publication_fuera p
JOIN fuera_catalogo f ON f.id = p.fuera
JOIN statement w ON w.proposal = f.decision AND w.kind = 'identidad'
JOIN log_leaf l ON l.kind = 'identidad' AND l.reference = w.number
WHERE p.corte = $1
ORDER BY 1

-- name: openings_cotejo
SELECT l.index, l.reference
FROM publication p
JOIN acta_version v ON v.id = p.version
JOIN acta_version w ON w.acta = v.acta AND w.reason = 'cotejo' AND w.id <= v.id AND NOT EXISTS (
    SELECT FROM acta_version u JOIN publication q ON q.version = u.id
    WHERE u.acta = v.acta AND u.id >= w.id AND q.corte < p.corte
)
JOIN log_leaf l ON l.kind = 'cotejo' AND l.reference = w.id
WHERE p.corte = $1
ORDER BY l.index

-- name: read_state
SELECT size, root FROM log_state

-- name: first_state
INSERT INTO log_state (size, root) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true

-- name: swap_state
UPDATE log_state SET size = $3, root = $4, checkpoint = NULL WHERE size = $1 AND root = $2 RETURNING true

-- name: sign_state
UPDATE log_state SET checkpoint = $2 WHERE size = $1

-- name: versions
SELECT v.id AS reference, v.reason, v.numbers, v.marks, v.calculado, v.observations, v.contabilizada, v.cotejada,
    v.traslado, v.image, v.acopio_at, v.captura_at, v.verificacion_at, v.origen, v.digitalizacion, v.tipo_documento,
    v.quantities, v.tail, e.rules, (SELECT count(*) FROM ballot_option o WHERE o.election = e.id)::int AS options,
    k.ballot
FROM acta_version v JOIN acta a ON a.id = v.acta JOIN contest k ON k.id = a.contest JOIN election e ON e.id = a.election
WHERE v.id = ANY ($1::bigint[])

-- name: without_leaf
SELECT (SELECT count(*) FROM arrival f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'imagen' AND reference = f.number))
    + (SELECT count(*) FROM reading f
        WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'derivada' AND reference = f.number))
    + (SELECT count(*) FROM entry f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'captura' AND reference = f.id))
    + (SELECT count(*) FROM resolution f
        WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'resolucion' AND reference = f.number))
    + (SELECT count(*) FROM device_loss f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'perdida' AND reference = f.id))
    + (SELECT count(*) FROM acta_version f
        WHERE f.reason = 'cotejo' AND NOT EXISTS (SELECT FROM log_leaf WHERE kind = f.reason AND reference = f.id))
    + (SELECT count(*) FROM statement f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = f.kind AND reference = f.number))
    + (SELECT count(*) FROM acta_version f
        WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'version' AND reference = f.id))
    + (SELECT count(*) FROM corte f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = 'corte' AND reference = f.number))
    + (SELECT count(*) FROM ceremony f WHERE NOT EXISTS (SELECT FROM log_leaf WHERE kind = f.kind AND reference = f.id))

-- name: tell_of_witness
INSERT INTO event (kind, subject, detail, at)
SELECT 'testigo_niega', $1, $2::jsonb, $3
WHERE NOT EXISTS (SELECT FROM event WHERE kind = 'testigo_niega' AND subject = $1 AND detail = $2::jsonb)
RETURNING true

-- name: hand_over
INSERT INTO log_key (de, nombre, public_key, at) VALUES ('bitacora', $1, $2, $3) ON CONFLICT DO NOTHING

-- name: handed_over
SELECT k.public_key, l.index
FROM log_key k JOIN log_leaf l ON l.kind = 'rotacion' AND l.reference = k.id
WHERE k.de = 'bitacora'
ORDER BY l.index
