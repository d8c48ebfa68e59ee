-- What a corte reads and writes. Blocks that show actas begin with a table `shown` of the version that counts for each:
-- as it is now, or (`shown_then` put in its place) as it was at corte $1, which the publications tell for ever.
-- $2 is the election; `territory` is what its rows name beside the entidad ($3):
-- a distrito of the casilla, or the territory of the contest if another kind of territory elects.

-- name: shown_now
SELECT acta, version FROM acta_current
WHERE version IS NOT NULL AND $1::int IS NOT NULL
    AND version <> ALL (ARRAY(SELECT v.id FROM held_back h JOIN acta_version v USING (image)))
UNION ALL
SELECT w.acta, max(p.version) AS version
FROM held_back h
JOIN acta_version v USING (image)
JOIN acta_current c ON c.version = v.id
JOIN acta_version w ON w.acta = c.acta
JOIN publication p ON p.version = w.id
GROUP BY w.acta

-- name: shown_then
SELECT v.acta, max(p.version) AS version
FROM publication p JOIN acta_version v ON v.id = p.version
WHERE p.corte <= $1::int
GROUP BY v.acta

-- name: groups
WITH shown AS NOT MATERIALIZED (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL), summed AS NOT MATERIALIZED (
    /*summed*/ SELECT a.id AS acta, s.version, 1 AS sign FROM acta a LEFT JOIN shown s ON s.acta = a.id WHERE a.election = $2::smallint
), acta_shown AS (
    SELECT a.contest, c.entidad, x.sign,
        CASE $3::text WHEN 'distrito_federal' THEN c.distrito_federal WHEN 'distrito_local' THEN c.distrito_local
            ELSE k.territory END AS territory,
        v.id IS NOT NULL AS captured,
        v.contabilizada = 1 AS counted,
        v.inconsistent,
        v.id IS NOT NULL AND v.image IS NULL AS sin_acta,
        c.tipo = 'S' AS especial,
        a.lista_nominal * x.sign AS lista_nominal, v.calculado * x.sign AS calculado,
        CASE WHEN v.contabilizada = 1 THEN v.numbers END AS n
    FROM summed x
    JOIN acta a ON a.id = x.acta
    JOIN casilla c ON c.id = a.casilla
    JOIN contest k ON k.id = a.contest
    LEFT JOIN acta_version v ON v.id = x.version AND v.reason <> 'retiro'
)
SELECT contest, entidad, territory,
    sum(sign)::int AS esperadas,
    coalesce(sum(sign) FILTER (WHERE counted), 0)::int AS contabilizadas,
    coalesce(sum(sign) FILTER (WHERE captured AND NOT counted), 0)::int AS no_contabilizadas,
    coalesce(sum(sign) FILTER (WHERE inconsistent), 0)::int AS inconsistentes,
    coalesce(sum(sign) FILTER (WHERE sin_acta), 0)::int AS sin_acta,
    coalesce(sum(lista_nominal) FILTER (WHERE counted), 0)::bigint AS lista_nominal,
    coalesce(sum(lista_nominal) FILTER (WHERE NOT captured), 0)::bigint AS lista_por_capturar,
    coalesce(sum(calculado) FILTER (WHERE counted), 0)::bigint AS votos_con_especiales,
    coalesce(sum(calculado) FILTER (WHERE counted AND NOT especial), 0)::bigint AS votos_sin_especiales,
    ARRAY[/*votes*/]::bigint[] AS votes
FROM acta_shown
GROUP BY contest, entidad, territory
ORDER BY contest, entidad, territory

-- name: groups_moved
-- Goes in the place of `summed`: the versions $4, that corte $1 is the first to show, and with a minus what the cortes before
-- show for their actas. Each acta stands there twice, so `esperadas` is 0.
SELECT v.acta, m.version, m.sign
FROM unnest($4::bigint[]) AS f (version)
JOIN acta_version v ON v.id = f.version
JOIN acta a ON a.id = v.acta AND a.election = $2::smallint
CROSS JOIN LATERAL (
    SELECT f.version, 1 AS sign
    UNION ALL
    SELECT max(p.version), -1 FROM acta_version w JOIN publication p ON p.version = w.id WHERE w.acta = v.acta AND p.corte < $1::int
) AS m
WHERE $3::text IS NOT NULL

-- name: rows
WITH shown AS NOT MATERIALIZED (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL), place AS (
    SELECT * FROM unnest($4::int[], $5::int[], $6::text[]) AS p (entidad, territory, cells)
)
SELECT '''' || left(a.clave, 11) || ''',''' || a.clave || ''',' || p.cells
    || CASE c.seccion WHEN 0 THEN ',N/A,' ELSE ',' || substr(a.clave, 3, 4) || ',' END
    || substr(a.clave, 8, 2) || ',' || substr(a.clave, 7, 1) || ',' || substr(a.clave, 10, 2) || ','
    || c.ubicacion || ',' || a.tipo_acta || ',' || coalesce(v.quantities, $7::text) || ',' || a.lista_nominal || ','
    || a.representantes || ',' || coalesce(v.tail, $8::text)
FROM acta a
JOIN casilla c ON c.id = a.casilla
JOIN contest k ON k.id = a.contest
JOIN place p ON p.entidad = c.entidad
    AND p.territory = CASE $3::text WHEN 'distrito_federal' THEN c.distrito_federal
        WHEN 'distrito_local' THEN c.distrito_local ELSE k.territory END
LEFT JOIN shown s ON s.acta = a.id
LEFT JOIN acta_version v ON v.id = s.version AND v.reason <> 'retiro'
WHERE a.election = $2::smallint
ORDER BY a.orden

-- name: rows_of
-- The rows of the versions $8 alone, each with its place in the file: they are the ones that a corte shows first. As in
-- `rows`, a version that takes the acta away shows an acta that is not captured. The versions are looked up before all
-- else: a plan that begins with the catalogue reads all of it.
WITH place AS (
    SELECT * FROM unnest($3::int[], $4::int[], $5::text[]) AS p (entidad, territory, cells)
), fresh AS MATERIALIZED (
    SELECT a.*, CASE WHEN v.reason <> 'retiro' THEN v.quantities END AS quantities,
        CASE WHEN v.reason <> 'retiro' THEN v.tail END AS tail
    FROM unnest($8::bigint[]) AS f (version) JOIN acta_version v ON v.id = f.version JOIN acta a ON a.id = v.acta
    WHERE a.election = $1::smallint
)
SELECT a.orden, '''' || left(a.clave, 11) || ''',''' || a.clave || ''',' || p.cells
    || CASE c.seccion WHEN 0 THEN ',N/A,' ELSE ',' || substr(a.clave, 3, 4) || ',' END
    || substr(a.clave, 8, 2) || ',' || substr(a.clave, 7, 1) || ',' || substr(a.clave, 10, 2) || ','
    || c.ubicacion || ',' || a.tipo_acta || ',' || coalesce(a.quantities, $6::text) || ',' || a.lista_nominal || ','
    || a.representantes || ',' || coalesce(a.tail, $7::text) AS line
FROM fresh a
JOIN casilla c ON c.id = a.casilla
JOIN contest k ON k.id = a.contest
JOIN place p ON p.entidad = c.entidad
    AND p.territory = CASE $2::text WHEN 'distrito_federal' THEN c.distrito_federal
        WHEN 'distrito_local' THEN c.distrito_local ELSE k.territory END
ORDER BY a.orden

-- name: last
SELECT number, at, phase, due, simulacro, sums FROM corte ORDER BY number DESC LIMIT 1

-- name: by_place
SELECT by_place::text FROM corte WHERE number = $1

-- name: corte
SELECT number, at, phase, due, simulacro, sums FROM corte WHERE number = $1

-- name: fuera_now
SELECT f.id, f.image, f.identity, f.election, f.origen, f.digitalizacion, i.format
FROM fuera_catalogo f JOIN image i ON i.sha256 = f.image
WHERE $1::int IS NOT NULL AND NOT EXISTS (SELECT FROM held_back h WHERE h.image = f.image)
    AND NOT EXISTS (SELECT FROM fuera_removed r WHERE r.fuera = f.id)
ORDER BY f.identity COLLATE "C", f.image

-- name: fuera_then
SELECT f.id, f.image, f.identity, f.election, f.origen, f.digitalizacion, i.format
FROM fuera_catalogo f JOIN image i ON i.sha256 = f.image JOIN publication_fuera p ON p.fuera = f.id
WHERE p.corte <= $1::int AND NOT EXISTS (
    SELECT FROM fuera_removed r JOIN publication_decision q ON q.proposal = r.decision WHERE r.fuera = f.id AND q.corte <= $1::int)
ORDER BY f.identity COLLATE "C", f.image

-- Decisions that two people confirmed, and that no corte before has told.
-- name: decisions_now
SELECT p.id AS number, p.kind, p.undoes, e.code AS election, a.clave, encode(p.image, 'hex') AS image, m.message, p.device,
    p.sequence, p.reason, p.words, c.answered_at AS at
FROM confirmation c
JOIN proposal p ON p.id = c.proposal
LEFT JOIN acta a ON a.id = p.acta LEFT JOIN election e ON e.id = a.election
LEFT JOIN parked m ON m.id = p.parked
LEFT JOIN publication_decision q ON q.proposal = p.id
WHERE c.agrees AND q.proposal IS NULL AND $1::int IS NOT NULL
ORDER BY p.id

-- name: decisions_then
SELECT p.id AS number, p.kind, p.undoes, e.code AS election, a.clave, encode(p.image, 'hex') AS image, m.message, p.device,
    p.sequence, p.reason, p.words, c.answered_at AS at
FROM publication_decision q
JOIN proposal p ON p.id = q.proposal
JOIN confirmation c ON c.proposal = p.id
LEFT JOIN acta a ON a.id = p.acta LEFT JOIN election e ON e.id = a.election
LEFT JOIN parked m ON m.id = p.parked
WHERE q.corte = $1::int
ORDER BY p.id

-- Cortes whose clean data a manifest names.
-- name: data_named
SELECT data_of FROM publication_data

-- name: data_then
SELECT data_of, sums FROM publication_data WHERE corte = $1::int ORDER BY data_of

-- name: fresh_now
SELECT a.election, a.clave, v.id AS version, v.reason, v.image,
    EXISTS (SELECT FROM acta_version w JOIN publication q ON q.version = w.id WHERE w.acta = v.acta) AS correction
FROM acta_current c
JOIN acta_version v ON v.id = c.version
JOIN acta a ON a.id = c.acta
LEFT JOIN publication p ON p.version = c.version
WHERE p.version IS NULL AND $1::int IS NOT NULL AND NOT EXISTS (SELECT FROM held_back h WHERE h.image = v.image)
ORDER BY a.election, a.orden

-- name: fresh_then
SELECT a.election, a.clave, v.id AS version, v.reason, v.image,
    EXISTS (
        SELECT FROM acta_version w JOIN publication q ON q.version = w.id WHERE w.acta = v.acta AND q.corte < p.corte
    ) AS correction
FROM publication p
JOIN acta_version v ON v.id = p.version
JOIN acta a ON a.id = v.acta
WHERE p.corte = $1::int
ORDER BY a.election, a.orden

-- name: images
SELECT i.sha256 AS image, i.format, r.web
FROM unnest($1::bytea[], $3::bigint[]) AS wanted (sha256, version)
JOIN image i USING (sha256)
LEFT JOIN reading r ON r.image = i.sha256
LEFT JOIN publication_image p ON p.image = i.sha256 AND p.corte < $2::int
LEFT JOIN acta_version v ON v.id = wanted.version
WHERE p.image IS NULL OR (v.id IS NOT NULL AND NOT EXISTS (  -- it was brought out for another acta
    SELECT FROM acta_version w JOIN publication q ON q.version = w.id
    WHERE w.acta = v.acta AND w.image = i.sha256 AND q.corte < $2::int))
ORDER BY i.sha256

-- name: record
INSERT INTO corte (number, at, phase, previous, sums, counts, due, simulacro, declaracion, by_place)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: publish_versions
INSERT INTO publication (version, corte) SELECT version, $2::int FROM unnest($1::bigint[]) AS fresh (version)

-- name: publish_images
INSERT INTO publication_image (image, corte) SELECT image, $2::int FROM unnest($1::bytea[]) AS fresh (image)
ON CONFLICT DO NOTHING

-- name: publish_fuera
INSERT INTO publication_fuera (fuera, corte) SELECT fuera, $2::int FROM unnest($1::bigint[]) AS shown (fuera)
ON CONFLICT DO NOTHING

-- name: publish_decisions
INSERT INTO publication_decision (proposal, corte) SELECT proposal, $2::int FROM unnest($1::bigint[]) AS fresh (proposal)

-- name: publish_data
INSERT INTO publication_data (data_of, sums, corte)
SELECT data_of, sums, $3::int FROM unnest($1::int[], $2::text[]) AS named (data_of, sums)

-- An acta that is typed again, or compared with the paper, while its version comes out stays in its state: $3 are the
-- states that allow the move $4.
-- name: move
UPDATE acta_current c SET estado = acta_after(c.estado, $4), changed_at = $2
FROM acta_version v
WHERE v.id = ANY ($1::bigint[]) AND c.acta = v.acta AND c.version = v.id AND c.estado = ANY ($3::text[])

-- name: listed
SELECT a.clave, c.entidad, c.seccion, c.tipo::text AS tipo, c.numero, c.ext_contigua, v.calculado,
    CASE $3::text WHEN 'distrito_federal' THEN c.distrito_federal WHEN 'distrito_local' THEN c.distrito_local
        ELSE k.territory END AS territory,
    v.contabilizada, v.observations, v.id IS NOT NULL AS captured
FROM acta a
JOIN casilla c ON c.id = a.casilla
JOIN contest k ON k.id = a.contest
LEFT JOIN (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL) s ON s.acta = a.id
LEFT JOIN acta_version v ON v.id = s.version AND v.reason <> 'retiro'
WHERE a.election = $2::smallint AND (c.entidad, CASE $3::text WHEN 'distrito_federal' THEN c.distrito_federal
    WHEN 'distrito_local' THEN c.distrito_local ELSE k.territory END) IN (SELECT * FROM unnest($4::int[], $5::int[]))
ORDER BY a.orden

-- name: brought_out
SELECT count(*) FROM publication WHERE corte = $1::int

-- name: pages
SELECT a.id AS acta, a.election, before.clave AS previous, after.clave AS next, a.contest, a.clave, a.tipo_acta, a.lista_nominal, a.representantes, c.entidad, c.seccion,
    c.tipo::text AS tipo, c.numero, c.ext_contigua, c.ubicacion,
    CASE WHEN e.nivel NOT IN ('pais', 'entidad', 'distrito') THEN k.territory
        WHEN e.ambito = 'federal' THEN c.distrito_federal ELSE c.distrito_local END AS territory,
    v.numbers, v.marks, v.calculado, v.observations, v.contabilizada, v.cotejada, v.tipo_documento, v.origen,
    v.reason, v.reason = 'retiro' AS withdrawn, v.digitalizacion, v.traslado, v.acopio_at, v.captura_at, v.verificacion_at, v.image, i.format, r.web, r.width,
    r.height
FROM publication p
JOIN acta_version v ON v.id = p.version
JOIN acta a ON a.id = v.acta
JOIN election e ON e.id = a.election
JOIN contest k ON k.id = a.contest
JOIN casilla c ON c.id = a.casilla
LEFT JOIN image i ON i.sha256 = v.image
LEFT JOIN reading r ON r.image = v.image
LEFT JOIN acta before ON before.election = a.election AND before.orden = a.orden - 1
LEFT JOIN acta after ON after.election = a.election AND after.orden = a.orden + 1
WHERE p.corte = $1::int
ORDER BY a.election, a.orden

-- name: held_back
SELECT image FROM held_back ORDER BY image

-- name: hold_back
INSERT INTO held_back (image, since, why) SELECT image, $2, $3 FROM unnest($1::bytea[]) AS gone (image)
ON CONFLICT DO NOTHING

-- name: let_go
DELETE FROM held_back WHERE image = $1

-- name: add_event
INSERT INTO event (kind, subject, detail, at) VALUES ($1, $2, $3, $4)

-- Incidents that the institute told, and that are not over.
-- name: incidents
SELECT e.subject, e.detail ->> 'texto' AS text, e.at FROM event e
WHERE e.kind = 'incidente_publicado'
    AND NOT EXISTS (SELECT FROM event f WHERE f.kind = 'incidente_terminado' AND f.subject = e.subject)
ORDER BY e.id

-- One at a time, so that two incidents never have one number.
-- name: number_incidents
SELECT pg_advisory_xact_lock(hashtextextended('incidente', 23))

-- name: last_incident
SELECT count(*)::int FROM event WHERE kind = 'incidente_publicado'

-- name: expected
SELECT election, count(*)::int AS rows FROM acta GROUP BY election ORDER BY election

-- The thirteen values of each election in every corte so far: progress over time.
-- name: history
SELECT number, at, phase, counts::text AS counts FROM corte WHERE number <= $1::int ORDER BY number

-- Versions of the actas $2 that cortes before $1 published.
-- name: versions_before
SELECT v.acta, p.corte, v.reason, v.numbers, v.marks, v.calculado, v.contabilizada, v.observations, v.image, i.format
FROM acta_version v
JOIN publication p ON p.version = v.id
LEFT JOIN image i ON i.sha256 = v.image
WHERE p.corte < $1::int AND v.acta = ANY ($2::bigint[])
ORDER BY v.acta, p.corte

-- The captures of the round on which each version of corte $1 stands, of the actas $2; people have no name here.
-- name: captures_of
SELECT v.acta, e.ordinal, e.typed_at, e.numbers = v.numbers AND e.marks = v.marks AS agrees
FROM acta_version v
JOIN publication p ON p.version = v.id
JOIN entry e ON e.acta = v.acta AND e.ronda = v.ronda AND e.image = v.image
WHERE p.corte = $1::int AND v.acta = ANY ($2::bigint[]) AND v.image IS NOT NULL
ORDER BY v.acta, e.ordinal

-- The secciones with an acta that is on its way and not out at corte $1, and a digest of how far those actas are and since
-- when: if it is the same as before, so is what a page says of them. No clock is asked.
-- name: on_their_way
SELECT c.entidad, c.seccion,
    md5(string_agg(concat_ws(' ', a.id, u.estado, extract(epoch FROM u.changed_at)), ',' ORDER BY a.id)) AS far
FROM acta_current u
JOIN acta a ON a.id = u.acta
JOIN casilla c ON c.id = a.casilla
LEFT JOIN (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL) s ON s.acta = u.acta
LEFT JOIN acta_version v ON v.id = s.version AND v.reason <> 'retiro'
WHERE u.estado <> 'Esperada' AND v.id IS NULL
GROUP BY c.entidad, c.seccion

-- Every acta of these secciones (all secciones, if $2 is NULL), sección by sección, and the corte that brought it out.
-- name: sections
SELECT c.entidad, c.seccion, a.clave, a.election, c.tipo::text AS tipo, c.numero, c.ext_contigua, c.municipio, c.lugar, c.direccion,
    v.id IS NOT NULL AS captured, v.contabilizada, v.observations, u.estado, u.changed_at, p.corte
FROM casilla c
JOIN acta a ON a.casilla = c.id
LEFT JOIN acta_current u ON u.acta = a.id
LEFT JOIN (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL) s ON s.acta = a.id
LEFT JOIN publication p ON p.version = s.version
LEFT JOIN acta_version v ON v.id = s.version AND v.reason <> 'retiro'
WHERE $2::int[] IS NULL OR (c.entidad, c.seccion) IN (SELECT * FROM unnest($2::int[], $3::int[]))
ORDER BY c.entidad, c.seccion, left(a.clave, 11), a.election

-- name: seccion_numbers
SELECT DISTINCT entidad, seccion FROM casilla ORDER BY entidad, seccion

-- Where the casillas of each sección stand, as far as the catalogue states it.
-- name: known_places
SELECT DISTINCT c.entidad, c.seccion, coalesce(m.name, '') AS municipio, c.lugar, c.direccion
FROM casilla c LEFT JOIN territory m ON m.kind = 'municipio' AND m.entidad = c.entidad AND m.id = c.municipio
WHERE c.lugar <> '' OR c.direccion <> ''

-- The municipios of each hundred secciones.
-- name: municipio_blocks
SELECT c.entidad, m.name AS municipio, c.seccion / 100 AS block
FROM casilla c JOIN territory m ON m.kind = 'municipio' AND m.entidad = c.entidad AND m.id = c.municipio
WHERE c.seccion > 0
GROUP BY c.entidad, m.name, c.seccion / 100
ORDER BY c.entidad, m.name COLLATE "C", c.seccion / 100

-- Actas of an election that stand on a list of the pages: sin acta, observed, or changed after they were out.
-- name: reasoned
WITH twice AS MATERIALIZED (
    SELECT w.acta FROM publication q JOIN acta_version w ON w.id = q.version
    WHERE q.corte <= $1::int GROUP BY w.acta HAVING count(*) > 1
)
SELECT a.clave, c.entidad, c.seccion, c.tipo::text AS tipo, c.numero, c.ext_contigua, v.contabilizada, v.observations,
    v.reason, p.corte, v.image IS NULL AS absent, t.acta IS NOT NULL AS corrected
FROM acta a
JOIN casilla c ON c.id = a.casilla
JOIN (/*shown*/ SELECT acta, version FROM acta_current WHERE $1::int IS NULL) s ON s.acta = a.id
JOIN acta_version v ON v.id = s.version
JOIN publication p ON p.version = v.id
LEFT JOIN twice t ON t.acta = a.id
WHERE a.election = $2::smallint AND (cardinality(v.observations) > 0 OR t.acta IS NOT NULL)
ORDER BY a.orden
