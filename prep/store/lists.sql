-- The lists of the night. Each block gives a `key`, in whose order it is
-- read a part at a time, and the columns of its rows.

-- name: people
SELECT p.id::bigint AS key, p.login AS usuario, p.role AS rol, s.code AS sitio, p.active AS activa
FROM person p JOIN site s ON s.id = p.site

-- name: devices
SELECT row_number() OVER (ORDER BY d.id) AS key, d.id AS dispositivo, s.code AS sitio, d.enrolled_at AS inscrito,
    d.revoked_at AS revocado, count(a.id) AS envios, max(a.sequence) AS ultimo, max(a.received_at) AS ultimo_envio
FROM device d JOIN site s ON s.id = d.site LEFT JOIN arrival a ON a.device = d.id
GROUP BY d.id, s.code

-- name: sites
SELECT s.id::bigint AS key, s.code AS sitio, s.name AS nombre,
    (SELECT count(*) FROM person p WHERE p.site = s.id AND p.active) AS personas,
    (SELECT count(*) FROM device d WHERE d.site = s.id AND d.revoked_at IS NULL) AS dispositivos
FROM site s

-- name: missing
SELECT a.id AS key, e.code AS eleccion, a.clave, c.entidad::int, c.municipio::int, c.seccion::int
FROM acta a JOIN election e ON e.id = a.election JOIN casilla c ON c.id = a.casilla
LEFT JOIN acta_current k ON k.acta = a.id
WHERE coalesce(k.estado, 'Esperada') = 'Esperada'

-- name: unidentified
SELECT a.number AS key, encode(k.image, 'hex') AS sha256, k.state AS estado, a.device AS dispositivo, a.received_at AS desde,
    (SELECT count(*) FROM identification i WHERE i.image = k.image AND i.person IS NOT NULL AND i.id > k.settled) AS dichos
FROM image_current k
JOIN LATERAL (SELECT number, device, received_at FROM arrival r WHERE r.image = k.image ORDER BY r.received_at, r.id LIMIT 1) a ON true
WHERE k.state IN ('recibida', 'por_identificar', 'ilegible')

-- name: fuera
SELECT f.id AS key, encode(f.image, 'hex') AS sha256, f.identity AS identidad, e.code AS eleccion, f.found_at AS desde,
    f.decision AS decision
FROM fuera_catalogo f LEFT JOIN election e ON e.id = f.election
WHERE NOT EXISTS (SELECT FROM fuera_removed r WHERE r.fuera = f.id)

-- name: corrections
SELECT v.id AS key, e.code AS eleccion, a.clave, v.reason AS motivo, v.decision AS decision, p.corte AS corte
FROM acta_version v JOIN acta a ON a.id = v.acta JOIN election e ON e.id = a.election LEFT JOIN publication p ON p.version = v.id
WHERE EXISTS (SELECT FROM acta_version w JOIN publication q ON q.version = w.id WHERE w.acta = v.acta AND w.id < v.id)

-- name: waiting
SELECT row_number() OVER (ORDER BY w.desde, w.que, w.asunto) AS key, w.que, w.asunto, w.desde
FROM (
    SELECT t.kind AS que, coalesce(e.code || ' ' || a.clave, encode(t.image, 'hex')) AS asunto, t.created_at AS desde
    FROM task t LEFT JOIN acta a ON a.id = t.acta LEFT JOIN election e ON e.id = a.election
    WHERE t.kind <> 'control'
    UNION ALL
    SELECT 'decision', d.id || ' ' || d.kind, coalesce(CASE d.state WHEN 'por deshacer' THEN d.undo_at END, d.proposed_at)
    FROM decision d WHERE d.state IN ('propuesta', 'por deshacer')
    UNION ALL
    SELECT 'mensaje apartado', m.id || ' ' || m.message, m.parked_at FROM parked m WHERE m.state = 'parked'
    UNION ALL
    SELECT 'imagen retenida', encode(h.image, 'hex'), h.since FROM held_back h
) w

-- name: decisions
SELECT d.id AS key, d.id AS decision, d.kind AS tipo, d.state AS estado, e.code AS eleccion, a.clave, encode(d.image, 'hex') AS imagen,
    d.identity AS identidad, d.parked AS mensaje, d.device AS dispositivo, d.sequence AS numero, d.reason AS motivo,
    d.words AS texto, p.login AS propuso, d.proposed_at AS propuesta, c.login AS contesto, d.answered_at AS contestada,
    d.undo_reason AS motivo_deshacer, d.undo_words AS texto_deshacer, u.login AS pidio_deshacer, d.undo_at AS deshacer_pedido
FROM decision d
LEFT JOIN acta a ON a.id = d.acta LEFT JOIN election e ON e.id = a.election
JOIN person p ON p.id = d.person
LEFT JOIN person c ON c.id = d.answered_by
LEFT JOIN person u ON u.id = d.undo_person
