-- A capture that is imported from a file, of an acta of which no image can be had.

-- How the actas stand that somebody wants to import: elections $1 and claves $2. `document` is that of the current image.
-- name: actas_to_import
SELECT a.contest, a.digitos, a.clave, a.qr, e.code AS eleccion, e.title AS titulo, c.seccion::int, c.tipo::text, c.numero::int,
    c.ext_contigua::int, coalesce(s.estado, 'Esperada') AS estado, s.image,
    (SELECT r.tipo_documento FROM arrival r WHERE r.image = s.image ORDER BY r.received_at, r.id LIMIT 1) AS document
FROM acta a
JOIN election e ON e.id = a.election
JOIN casilla c ON c.id = a.casilla
LEFT JOIN acta_current s ON s.acta = a.id
WHERE (e.code, a.clave) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- The state of an image, and its document; no row until a worker has read it.
-- name: image_to_import
SELECT i.state, i.acta,
    (SELECT r.tipo_documento FROM arrival r WHERE r.image = i.image ORDER BY r.received_at, r.id LIMIT 1) AS document
FROM image_current i WHERE i.image = $1

-- The first capture of that image, and no other. $1 acta, $2 image, $3 person, $4 now, $5 until, $6 new lease.
-- name: lease_import
UPDATE task SET lease = $6, lease_person = $3, leased_at = $4, lease_until = $5
WHERE id = (
    SELECT id FROM task
    WHERE kind = 'captura' AND acta = $1 AND image = $2 AND ordinal = 1 AND (lease IS NULL OR lease_until <= $4)
        AND NOT EXISTS (SELECT FROM task WHERE lease_person = $3 AND lease IS NOT NULL)
    FOR UPDATE SKIP LOCKED
)
RETURNING lease

-- The lease under which this person captured that image before.
-- name: import_before
SELECT lease FROM entry WHERE acta = $1 AND image = $2 AND person = $3 AND ordinal = 1
