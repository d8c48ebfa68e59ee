-- The statements of people that versions stand on. Each block is one statement.

-- Those behind the versions $1: of their rounds, of their decisions, the cotejos since the version of the acta that was
-- out before corte $2, and what says that their images are of their actas: people, or the sticker (`lectura`). And those
-- that say that an image is of no acta, behind the rows fuera de catálogo $3, with its smaller copy.
-- name: behind
SELECT 'captura' AS clase, n.code AS eleccion, a.clave AS acta, e.person AS persona, e.ronda, e.ordinal::text AS dice,
    e.numbers AS numeros, e.marks AS marcas
FROM acta_version v
JOIN entry e ON e.acta = v.acta AND e.ronda = v.ronda
JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[]) AND v.reason IN ('captura', 'recaptura')
UNION ALL
SELECT 'resolucion', n.code, a.clave, r.person, r.ronda, e.ordinal::text, NULL, NULL
FROM acta_version v
JOIN resolution r ON r.acta = v.acta AND r.ronda = v.ronda JOIN entry e ON e.id = r.entry
JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[]) AND v.reason IN ('captura', 'recaptura')
UNION ALL
SELECT 'sin_acta', n.code, a.clave, s.person, 0, s.reason, NULL, NULL
FROM acta_version v
JOIN statement s ON s.proposal = v.decision AND s.kind = 'sin_acta' AND s.acta = v.acta
JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[]) AND v.reason = 'sin_acta'
UNION ALL
SELECT 'identidad', n.code, a.clave, s.person, 0, encode(s.image, 'hex'), NULL, NULL
FROM acta_version v
JOIN statement s ON s.image = v.image AND s.acta = v.acta AND s.kind = 'identidad' AND s.holds
JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[])
UNION ALL
SELECT 'identidad', '-', encode(f.image, 'hex'), s.person, 0, encode(f.image, 'hex'), NULL, NULL
FROM fuera_catalogo f
JOIN statement s ON s.proposal = f.decision AND s.kind = 'identidad' AND s.image = f.image AND s.acta IS NULL
WHERE f.id = ANY ($3::bigint[])
UNION ALL
SELECT 'lectura', '-', encode(r.web, 'hex'), NULL, 0, encode(r.image, 'hex'), NULL, NULL
FROM fuera_catalogo f JOIN reading r ON r.image = f.image
WHERE f.id = ANY ($3::bigint[])
UNION ALL
SELECT 'lectura', n.code, a.clave, NULL, 0, encode(r.image, 'hex'), NULL, NULL
FROM acta_version v
JOIN reading r ON r.image = v.image
JOIN identification i ON i.image = r.image AND i.source = 'qr'
JOIN acta a ON a.id = v.acta AND a.qr = i.identity JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[])
UNION ALL
SELECT 'cotejo', n.code, a.clave, w.person, w.ronda, w.cotejada::text, NULL, NULL
FROM acta_version v
JOIN acta_version w ON w.acta = v.acta AND w.reason = 'cotejo' AND w.id <= v.id AND NOT EXISTS (
    SELECT FROM acta_version u JOIN publication q ON q.version = u.id
    WHERE u.acta = v.acta AND u.id >= w.id AND q.corte < $2::int
)
JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[])

-- name: actas
SELECT DISTINCT acta FROM acta_version WHERE acta > $1 ORDER BY acta LIMIT $2

-- name: versions
SELECT v.id, v.acta, a.clave, v.ronda, v.reason, v.person, v.numbers, v.marks, v.observations, v.cotejada, v.image, v.decision
FROM acta_version v JOIN acta a ON a.id = v.acta
WHERE v.acta = ANY ($1::bigint[])
ORDER BY v.acta, v.id

-- name: captures
SELECT e.id, e.acta, e.ronda, e.ordinal, e.person, e.numbers, e.marks
FROM entry e WHERE e.acta = ANY ($1::bigint[])

-- name: resolutions
SELECT r.acta, r.ronda, r.person, e.ordinal
FROM resolution r JOIN entry e ON e.id = r.entry
WHERE r.acta = ANY ($1::bigint[])

-- name: statements
SELECT s.kind, s.acta, s.image, s.proposal, s.reason, s.person
FROM statement s WHERE s.acta = ANY ($1::bigint[]) AND s.holds

-- name: readings
SELECT r.image, a.id AS acta
FROM reading r
JOIN identification i ON i.image = r.image AND i.source = 'qr'
JOIN acta a ON a.qr = i.identity
WHERE r.image = ANY ($1::bytea[])

-- Images fuera de catálogo that two people did not say to be so.
-- name: fuera_alone
SELECT encode(f.image, 'hex') AS image
FROM fuera_catalogo f
WHERE 2 > (
    SELECT count(DISTINCT s.person) FROM statement s
    WHERE s.proposal = f.decision AND s.kind = 'identidad' AND s.image = f.image AND s.acta IS NULL AND s.holds
)
ORDER BY f.id
LIMIT 1
