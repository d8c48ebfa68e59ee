-- How the night stands, counted every few seconds for the metrics: one statement, so that one look is one round trip.

-- name: look
SELECT 'acta' AS what, estado AS label, count(*) AS waiting, NULL::timestamptz AS since
FROM acta_current WHERE estado <> 'Esperada' GROUP BY estado
UNION ALL
SELECT 'expected', '', count(*), NULL FROM acta
UNION ALL
SELECT 'image', state, count(*), NULL FROM image_current GROUP BY state
UNION ALL
SELECT 'task', CASE kind WHEN 'captura' THEN 'captura_' || ordinal ELSE kind END, count(*), min(created_at)
FROM task WHERE kind <> 'control' GROUP BY 2
UNION ALL
SELECT 'outbox', '', count(*), min(added_at) FROM outbox
UNION ALL
SELECT 'parked', '', count(*), NULL FROM parked WHERE state = 'parked'
