-- Messages that leave with the transaction that caused them.

-- name: enqueue
WITH added AS (
    INSERT INTO outbox (id, topic, key, body)
    SELECT id, topic, key, body
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) WITH ORDINALITY AS m (id, topic, key, body, n)
    ORDER BY n
    RETURNING 1
)
SELECT pg_notify('outbox', '') FROM (SELECT count(*) FROM added) AS all_of_them

-- name: lead
SELECT pg_try_advisory_lock($1)

-- name: resign
SELECT pg_advisory_unlock($1)

-- name: next
SELECT seq, id, topic, key, body FROM outbox ORDER BY seq LIMIT $1

-- By number and not up to a number: a lower one may have committed meanwhile.
-- name: remove
DELETE FROM outbox USING unnest($1::bigint[]) AS sent (seq) WHERE outbox.seq = sent.seq
