-- The lists of the night. Each block gives a `key`, in whose order it is
-- read a part at a time, and the columns of its rows.

-- name: people
SELECT p.id::bigint AS key, p.login AS usuario, p.role AS rol, s.code AS sitio, p.active AS activa, p.paused AS en_pausa,
    (SELECT max(c.at) FROM person_change c WHERE c.person = p.id) AS ultimo_cambio
FROM person p JOIN site s ON s.id = p.site

-- name: changes
SELECT c.id AS key, p.login AS usuario, c.change AS cambio, s.code AS sitio, c.reason AS motivo, b.login AS quien, c.at AS hora
FROM person_change c JOIN person p ON p.id = c.person JOIN person b ON b.id = c.by LEFT JOIN site s ON s.id = c.site

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
SELECT a.id AS key, e.code AS eleccion, a.clave, c.entidad::int, c.municipio::int, c.seccion::int,
    (SELECT d.id FROM decision d WHERE d.subject = 'acta:' || a.id AND d.state IN ('propuesta', 'por deshacer')) AS propuesta
FROM acta a JOIN election e ON e.id = a.election JOIN casilla c ON c.id = a.casilla
LEFT JOIN acta_current k ON k.acta = a.id
WHERE coalesce(k.estado, 'Esperada') = 'Esperada'

-- `decision`: two people said that it cannot be identified, and that stands.
-- name: unidentified
SELECT a.number AS key, encode(k.image, 'hex') AS sha256, k.state AS estado, a.device AS dispositivo, t.code AS sitio,
    a.received_at AS desde,
    (SELECT count(*) FROM identification i WHERE i.image = k.image AND i.person IS NOT NULL AND i.id > k.settled) AS dichos,
    CASE k.state WHEN 'ilegible' THEN (
        SELECT max(d.id) FROM decision d WHERE d.subject = 'imagen:' || encode(k.image, 'hex') AND d.kind = 'imagen_sin_identidad'
            AND d.state = 'confirmada') END AS decision,
    (SELECT d.id FROM decision d WHERE d.subject = 'imagen:' || encode(k.image, 'hex') AND d.state IN ('propuesta', 'por deshacer'))
        AS propuesta,
    (SELECT max(q.at) FROM image_request q WHERE q.image = k.image) AS pedida
FROM image_current k
JOIN LATERAL (SELECT number, device, received_at FROM arrival r WHERE r.image = k.image ORDER BY r.received_at, r.id LIMIT 1) a ON true
LEFT JOIN device v ON v.id = a.device LEFT JOIN site t ON t.id = v.site
WHERE k.state IN ('recibida', 'por_identificar', 'ilegible')

-- `queda`: two people, who saw what the other one said, decided that it is outside; and not two who identified it apart.
-- name: fuera
SELECT f.id AS key, encode(f.image, 'hex') AS sha256, f.identity AS identidad, e.code AS eleccion, f.found_at AS desde,
    f.decision AS decision, d.reason AS motivo, d.words AS texto,
    (SELECT max(q.id) FROM decision q WHERE q.subject = 'imagen:' || encode(f.image, 'hex') AND q.kind = 'fuera_de_catalogo'
        AND q.state = 'confirmada' AND q.reason <> 'dos_identificaciones' AND q.id >= coalesce(f.decision, 0)) AS queda,
    (SELECT q.id FROM decision q WHERE q.subject = 'imagen:' || encode(f.image, 'hex') AND q.state IN ('propuesta', 'por deshacer'))
        AS propuesta
FROM fuera_catalogo f LEFT JOIN election e ON e.id = f.election LEFT JOIN decision d ON d.id = f.decision
WHERE NOT EXISTS (SELECT FROM fuera_removed r WHERE r.fuera = f.id)

-- Nearly the same photo under two actas: as long as it is so. An event names up to five photos.
-- name: duplicates
SELECT e.id * 8 + o.n AS key, e.id AS evento, e.subject AS imagen, x.code AS eleccion, a.clave, o.image AS otra_imagen,
    y.code AS otra_eleccion, b.clave AS otra_clave, e.at AS desde, r.at AS revisada, p.login AS reviso, r.words AS texto
FROM event e
CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(e.detail -> 'parecidas') AS (image text)) WITH ORDINALITY AS o (image, n)
JOIN image_current i ON i.image = decode(e.subject, 'hex') JOIN acta a ON a.id = i.acta JOIN election x ON x.id = a.election
JOIN image_current j ON j.image = decode(o.image, 'hex') JOIN acta b ON b.id = j.acta JOIN election y ON y.id = b.election
LEFT JOIN review r ON r.event = e.id LEFT JOIN person p ON p.id = r.person
WHERE e.kind = 'misma_foto' AND a.id <> b.id

-- The sticker and the device name different actas, or one image shows two stickers. Each image once.
-- name: mismatches
SELECT e.id AS key, e.id AS evento, e.kind AS clase, encode(i.image, 'hex') AS imagen, i.state AS estado, x.code AS eleccion, a.clave,
    coalesce(e.detail ->> 'qr', (SELECT string_agg(s, ' / ') FROM jsonb_array_elements_text(e.detail -> 'identidades') s)) AS etiqueta,
    e.detail ->> 'dispositivo' AS dispositivo, e.at AS desde, r.at AS revisada, p.login AS reviso, r.words AS texto
FROM event e
JOIN image_current i ON i.image = decode(coalesce(e.detail ->> 'imagen', e.subject), 'hex')
LEFT JOIN acta a ON a.id = i.acta LEFT JOIN election x ON x.id = a.election
LEFT JOIN review r ON r.event = e.id LEFT JOIN person p ON p.id = r.person
WHERE e.kind IN ('identidad_difiere', 'dos_identidades') AND NOT EXISTS (
    SELECT FROM event f WHERE f.kind = e.kind AND f.id < e.id AND f.detail ->> 'imagen' = e.detail ->> 'imagen')

-- Actas whose votes exceed what fits, with the numbers of the rule; none of them while people type it again, blind.
-- name: excede
SELECT v.id AS key, v.id AS version, e.code AS eleccion, a.clave, c.estado, encode(v.image, 'hex') AS imagen, v.calculado,
    a.lista_nominal, a.representantes, a.boletas_maximas, k.votes_per_ballot AS votos_por_boleta, r.at AS revisada, p.login AS reviso,
    r.words AS texto
FROM acta_current c
JOIN acta_version v ON v.id = c.version JOIN acta a ON a.id = c.acta JOIN contest k ON k.id = a.contest
JOIN election e ON e.id = a.election
LEFT JOIN review r ON r.version = v.id LEFT JOIN person p ON p.id = r.person
WHERE 'excede_lista_nominal' = ANY (v.observations) AND c.estado IN ('Verificada', 'Publicada', 'Cotejada')

-- name: parked
SELECT m.id AS key, m.id AS mensaje, m.message AS que, m.error, m.attempts AS intentos, m.parked_at AS desde,
    (SELECT d.id FROM decision d WHERE d.subject = 'mensaje:' || m.id AND d.state IN ('propuesta', 'por deshacer')) AS propuesta
FROM parked m WHERE m.state = 'parked'

-- `sitio`: of the device that sent the image, where the paper should be.
-- name: cotejo
SELECT v.id AS key, e.code AS eleccion, e.title AS titulo, a.clave, k.seccion::int, k.tipo::text, k.numero::int, k.ext_contigua::int,
    t.code AS sitio, p.corte, q.at AS desde, v.cotejada
FROM acta_current c
JOIN acta_version v ON v.id = c.version JOIN publication p ON p.version = v.id JOIN corte q ON q.number = p.corte
JOIN acta a ON a.id = c.acta JOIN election e ON e.id = a.election JOIN casilla k ON k.id = a.casilla
LEFT JOIN LATERAL (SELECT device FROM arrival r WHERE r.image = v.image ORDER BY r.received_at, r.id LIMIT 1) r ON true
LEFT JOIN device d ON d.id = r.device LEFT JOIN site t ON t.id = d.site
WHERE c.estado = 'Publicada' AND v.image IS NOT NULL

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
