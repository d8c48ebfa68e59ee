-- The embedded bus on one table: messages in partitions, a cursor for each group, advisory locks for who reads what.

-- One writer at a time in a partition, until its transaction ends: the order of `seq` is the order of commit, so that a
-- reader who has passed a number never finds a lower one later. The count makes the numbers wait for the locks.
-- name: publish
WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(space, partition) FROM unnest($1::int[], $2::int[]) AS p (space, partition)
), added AS (
    INSERT INTO bus_message (topic, partition, id, key, body, type, source, happened_at)
    SELECT topic, partition, id, key, body, type, source, happened_at
    FROM (SELECT count(*) FROM locked) AS all_of_them,
        unnest($3::text[], $4::smallint[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::timestamptz[])
            WITH ORDINALITY AS m (topic, partition, id, key, body, type, source, happened_at, n)
    ORDER BY n
    RETURNING topic
)
SELECT pg_notify('bus_' || topic, '') FROM (SELECT DISTINCT topic FROM added) AS topics

-- name: add_cursors
INSERT INTO bus_cursor (topic, partition, consumers, seq)
SELECT $1, partition, $2, 0 FROM generate_series(0, $3::int - 1) AS partition
ON CONFLICT DO NOTHING

-- name: enter
SELECT pg_advisory_lock_shared($1, $2)

-- The consumers of a group that are alive: those that hold its membership lock, which dies with the connection.
-- name: members
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = ($1::int::bigint & 4294967295)::oid AND objid = $2::int::oid AND objsubid = 2
ORDER BY pid

-- name: take
SELECT pg_try_advisory_lock($1, $2)

-- name: give_back
SELECT pg_advisory_unlock($1, $2)

-- name: give_back_all
SELECT pg_advisory_unlock_all()

-- name: cursor
SELECT seq FROM bus_cursor WHERE topic = $1 AND consumers = $2 AND partition = $3

-- name: fetch
SELECT m.partition, m.seq, m.id, m.key, m.body, m.type, m.source, m.happened_at, m.published_at
FROM unnest($2::smallint[], $3::bigint[]) AS p (partition, seq)
CROSS JOIN LATERAL (
    SELECT b.partition, b.seq, b.id, b.key, b.body, b.type, b.source, b.happened_at, b.published_at
    FROM bus_message b
    WHERE b.topic = $1 AND b.partition = p.partition AND b.seq > p.seq
    ORDER BY b.seq
    LIMIT $4
) AS m
ORDER BY m.seq

-- name: acknowledge
UPDATE bus_cursor c SET seq = a.seq
FROM unnest($3::smallint[], $4::bigint[]) AS a (partition, seq)
WHERE c.topic = $1 AND c.consumers = $2 AND c.partition = a.partition AND c.seq < a.seq

-- name: lag
SELECT coalesce(sum(behind.messages), 0)::bigint
FROM generate_series(0, $3::int - 1) AS p (partition)
LEFT JOIN bus_cursor c ON c.topic = $1 AND c.consumers = $2 AND c.partition = p.partition
CROSS JOIN LATERAL (
    SELECT count(*) AS messages FROM bus_message m
    WHERE m.topic = $1 AND m.partition = p.partition AND m.seq > coalesce(c.seq, 0)
) AS behind

-- name: sweep
DELETE FROM bus_message m
USING (SELECT partition, min(seq) AS seq FROM bus_cursor WHERE topic = $1 GROUP BY partition) AS c
WHERE m.topic = $1 AND m.partition = c.partition AND m.seq <= c.seq AND m.published_at < now() - $2::interval
