-- The statements of people that versions stand on. Each block is one statement.

-- Those behind the versions $1: of their rounds, and the cotejos since the version of the acta that was out before
-- corte $2.
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
SELECT 'sin_acta', n.code, a.clave, v.person, 0, v.observations[1], NULL, NULL
FROM acta_version v JOIN acta a ON a.id = v.acta JOIN election n ON n.id = a.election
WHERE v.id = ANY ($1::bigint[]) AND v.reason = 'sin_acta'
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
SELECT v.id, v.acta, a.clave, v.ronda, v.reason, v.person, v.numbers, v.marks, v.observations, v.cotejada
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
