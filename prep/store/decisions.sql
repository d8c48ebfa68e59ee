-- Decisions of two people. Each block is one statement. The triggers of 0023 refuse what must never be.

-- One change of a subject's decisions at a time.
-- name: lock_subject
SELECT pg_advisory_xact_lock(hashtextextended($1, 23))

-- name: propose
INSERT INTO proposal (kind, subject, acta, to_acta, image, identity, parked, device, sequence, reason, words, person, site, proposed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING id

-- name: propose_undo
INSERT INTO proposal (kind, undoes, subject, acta, to_acta, image, identity, parked, device, sequence, reason, words, person, site,
    proposed_at)
SELECT kind, id, subject, acta, to_acta, image, identity, parked, device, sequence, $2, $3, $4, $5, $6 FROM proposal WHERE id = $1
RETURNING id

-- name: answer
INSERT INTO confirmation (proposal, agrees, words, person, site, answered_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: decision
SELECT * FROM decision WHERE id = $1

-- name: open_about
SELECT * FROM decision WHERE subject = $1 AND state IN ('propuesta', 'por deshacer')

-- name: closed
SELECT EXISTS (SELECT FROM corte WHERE phase = 'final')

-- name: sequence_known
SELECT EXISTS (SELECT FROM arrival WHERE device = $1 AND sequence = $2)

-- name: device_known
SELECT EXISTS (SELECT FROM device WHERE id = $1)

-- name: parked_message
SELECT message FROM parked WHERE id = $1 AND state = $2
