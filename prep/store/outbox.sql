-- Messages that leave with the transaction that caused them.

-- name: enqueue
WITH added AS (
    INSERT INTO outbox (id, topic, key, body, type, source, happened_at)
    SELECT id, topic, key, body, type, source, happened_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::timestamptz[])
        WITH ORDINALITY AS m (id, topic, key, body, type, source, happened_at, n)
    ORDER BY n
    RETURNING 1
)
SELECT pg_notify('outbox', '') FROM (SELECT count(*) FROM added) AS all_of_them

-- name: lead
SELECT pg_try_advisory_lock($1)

-- name: resign
SELECT pg_advisory_unlock($1)

-- name: next
SELECT seq, id, topic, key, body, type, source, coalesce(happened_at, added_at) AS happened_at
FROM outbox ORDER BY seq LIMIT $1

-- By number and not up to a number: a lower one may have committed meanwhile.
-- name: remove
DELETE FROM outbox USING unnest($1::bigint[]) AS sent (seq) WHERE outbox.seq = sent.seq
