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
