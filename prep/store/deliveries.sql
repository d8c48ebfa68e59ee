-- What makes a handler safe to repeat: done-once marks, counted failures, and messages set aside for a person.

-- A second delivery that runs at the same time waits here for the first to commit.
-- name: mark_done
INSERT INTO done (consumers, message) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true

-- Of a message that was settled as retried just now.
-- name: unmark_retried
SELECT unmark_retried($1)

-- name: done_among
SELECT message FROM done WHERE consumers = $1 AND message = ANY ($2)

-- name: count_failure
INSERT INTO attempt (consumers, message, count, error) VALUES ($1, $2, 1, $3)
ON CONFLICT (consumers, message) DO UPDATE SET count = attempt.count + 1, error = excluded.error
RETURNING count

-- name: forget_failures
DELETE FROM attempt WHERE consumers = $1 AND message = $2 RETURNING count

-- name: park
INSERT INTO parked (consumers, message, topic, key, body, type, source, happened_at, error, parked_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (consumers, message) DO UPDATE
SET error = excluded.error, parked_at = excluded.parked_at, state = 'parked', reason = '',
    attempts = parked.attempts + excluded.attempts

-- name: list_parked
SELECT id, consumers, message, topic, key, body, type, source, happened_at, error, parked_at, attempts, state, reason
FROM parked WHERE state = 'parked' OR $1 ORDER BY id

-- name: undo_dismissal
UPDATE parked SET state = 'parked', reason = '' WHERE id = $1 AND state = 'dismissed' RETURNING message

-- name: settle_parked
UPDATE parked SET state = $2, reason = $3 WHERE id = $1 AND state = 'parked'
RETURNING consumers, message, topic, key, body, type, source, happened_at
