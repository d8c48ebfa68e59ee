-- How the night stands, counted every few seconds for the metrics.

-- name: actas
SELECT estado, count(*) AS actas FROM acta_current WHERE estado <> 'Esperada' GROUP BY estado

-- name: expected
SELECT count(*) FROM acta

-- name: images
SELECT state, count(*) AS images FROM image_current GROUP BY state

-- name: queue
SELECT kind, count(*) AS tasks, extract(epoch FROM $1 - min(created_at))::float8 AS oldest FROM task GROUP BY kind

-- name: messages
SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM parked WHERE state = 'parked') AS parked
