-- How devices enrol themselves, and which casillas are theirs. Each block is one statement.

-- name: add_invitation
INSERT INTO device_invitation (code_sha256, device, site, casillas, expires_at)
VALUES (sha256($1), $2, $3, $4, now() + $5::interval) RETURNING expires_at

-- name: invite
SELECT invite_device($1, $2, $3, $4, sha256($5), $6)

-- name: redeem
SELECT redeem_invitation($1, $2)

-- name: is_enrolled
SELECT EXISTS (SELECT FROM device WHERE id = $1)

-- The casillas of some secciones, or of a municipio, in the order of the official file.
-- name: claves
SELECT lpad(c.entidad::text, 2, '0') || lpad(c.seccion::text, 4, '0') || c.tipo::text || lpad(c.numero::text, 2, '0')
    || lpad(c.ext_contigua::text, 2, '0') AS clave
FROM casilla c
WHERE c.seccion = ANY ($1::smallint[]) OR c.municipio = ANY ($2::smallint[])
ORDER BY c.entidad, c.seccion, c.tipo, c.numero, c.ext_contigua
LIMIT $3

-- name: site_of_device
SELECT s.code FROM device d JOIN site s ON s.id = d.site WHERE d.id = $1

-- name: actas_of_device
SELECT k.clave AS casilla, c.seccion::int, c.tipo::text, c.numero::int, c.ext_contigua::int, c.lugar, c.direccion, m.name AS municipio, e.code AS eleccion,
    e.title AS titulo, a.clave, a.qr
FROM device_casilla k
JOIN casilla c ON k.clave = lpad(c.entidad::text, 2, '0') || lpad(c.seccion::text, 4, '0') || c.tipo::text || lpad(c.numero::text, 2, '0')
    || lpad(c.ext_contigua::text, 2, '0')
JOIN acta a ON a.casilla = c.id
JOIN election e ON e.id = a.election
LEFT JOIN territory m ON m.kind = 'municipio' AND m.entidad = c.entidad AND m.id = c.municipio
WHERE k.device = $1
ORDER BY k.clave, a.election

-- The actas of the casillas of a site's devices: how each stands, since when, and a sin acta that waits for a second person.
-- name: actas_of_site
WITH ours AS (
    SELECT DISTINCT k.clave FROM device d JOIN device_casilla k ON k.device = d.id WHERE d.site = $1
)
SELECT e.code AS eleccion, e.title AS titulo, a.clave, c.seccion::int, c.tipo::text, c.numero::int, c.ext_contigua::int, c.lugar,
    CASE WHEN v.reason = 'sin_acta' THEN 'sin_acta' WHEN coalesce(s.estado, 'Esperada') = 'Esperada' THEN 'falta' ELSE 'llego' END AS estado,
    CASE WHEN v.reason = 'sin_acta' THEN (
        SELECT max(d.answered_at) FROM decision d WHERE d.acta = a.id AND d.kind = 'sin_acta' AND d.state = 'confirmada') ELSE (
        SELECT min(r.received_at) FROM image_current i JOIN arrival r ON r.image = i.image WHERE i.acta = a.id) END AS desde,
    (SELECT max(d.id) FROM decision d WHERE d.acta = a.id AND d.kind = 'sin_acta' AND d.state = 'propuesta') AS propuesta,
    (SELECT max(q.at) FROM image_current i JOIN image_request q ON q.image = i.image WHERE i.acta = a.id AND NOT EXISTS (
        SELECT FROM image_current j JOIN image n ON n.sha256 = j.image WHERE j.acta = a.id AND n.received_at > q.at)) AS pedida
FROM ours o
JOIN casilla c ON o.clave = lpad(c.entidad::text, 2, '0') || lpad(c.seccion::text, 4, '0') || c.tipo::text || lpad(c.numero::text, 2, '0')
    || lpad(c.ext_contigua::text, 2, '0')
JOIN acta a ON a.casilla = c.id
JOIN election e ON e.id = a.election
LEFT JOIN acta_current s ON s.acta = a.id
LEFT JOIN acta_version v ON v.id = s.version
ORDER BY o.clave, a.election
LIMIT $2

-- The images of a site's devices that belong to no acta.
-- name: images_of_site
SELECT encode(i.image, 'hex') AS sha256, CASE i.state WHEN 'fuera_de_catalogo' THEN 'fuera' WHEN 'ilegible' THEN 'ilegible' ELSE 'por_identificar' END AS estado,
    min(r.device) AS dispositivo, min(r.received_at) AS desde,
    (SELECT max(q.at) FROM image_request q WHERE q.image = i.image) AS pedida
FROM image_current i JOIN arrival r ON r.image = i.image JOIN device d ON d.id = r.device
WHERE d.site = $1 AND i.state <> 'identificada'
GROUP BY i.image, i.state
ORDER BY min(r.received_at)
LIMIT $2
