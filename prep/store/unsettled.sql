-- What a night still has open. Counted in one statement: numbers of different moments could add up to a night that is over.

-- An acta that people are typing has a task, unless its last capture was not compared yet: the task ends with the capture,
-- and the worker opens the next one. Of images that were set aside before anybody read them, `apartados` tells.
-- name: unsettled
SELECT (SELECT count(*) FROM acta)::int AS esperadas,
    (SELECT count(*) FROM acta_current c JOIN acta_version v ON v.id = c.version WHERE v.reason <> 'retiro')::int AS capturadas,
    ((SELECT count(*) FROM acta) - (SELECT count(*) FROM acta_current WHERE estado <> 'Esperada'))::int AS sin_imagen,
    (SELECT count(*) FROM acta_current WHERE estado IN ('Acopiada', 'Digitalizada', 'Capturada'))::int AS en_captura,
    (SELECT count(*) FROM acta_current c WHERE c.estado IN ('Acopiada', 'Digitalizada', 'Capturada') AND NOT EXISTS (
        SELECT FROM task t WHERE t.kind IN ('captura', 'resolucion') AND coalesce(t.acta, 0) = c.acta))::int AS sin_comparar,
    (SELECT count(*) FROM image_current WHERE state = 'por_identificar')::int AS por_identificar,
    (SELECT count(*) FROM image_current c WHERE c.state = 'recibida' AND EXISTS (
        SELECT FROM arrival a WHERE a.image = c.image AND NOT EXISTS (
            SELECT FROM parked p WHERE p.message = a.id AND p.state <> 'retried')))::int AS sin_leer,
    (SELECT count(*) FROM decision WHERE state IN ('propuesta', 'por deshacer'))::int AS propuestas,
    (SELECT count(*) FROM parked WHERE state = 'parked')::int AS apartados,
    (SELECT count(*) FROM held_back)::int AS retenidas,
    (SELECT count(*) FROM outbox)::int AS en_camino
