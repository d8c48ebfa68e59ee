-- What people say of images and findings without changing an acta. Each block is one statement.

-- name: ask_image
INSERT INTO image_request (image, reason, person, site, at)
SELECT i.sha256, $2, $3, $4, $5 FROM image i WHERE i.sha256 = $1
RETURNING at

-- name: review_event
INSERT INTO review (event, words, person, site, at)
SELECT e.id, $2, $3, $4, $5 FROM event e WHERE e.id = $1 AND e.kind IN ('misma_foto', 'identidad_difiere', 'dos_identidades')
ON CONFLICT DO NOTHING
RETURNING id

-- name: review_version
INSERT INTO review (version, words, person, site, at)
SELECT c.version, $2, $3, $4, $5 FROM acta_version v JOIN acta_current c ON c.version = v.id
WHERE v.id = $1 AND 'excede_lista_nominal' = ANY (v.observations)
ON CONFLICT DO NOTHING
RETURNING id

-- name: reviewed
SELECT EXISTS (SELECT FROM review WHERE event = $1 OR version = $2)
