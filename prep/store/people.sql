-- Who may speak to the system: sites, devices, people and their sessions. Each block is one statement.

-- name: sites
SELECT code, id FROM site ORDER BY code

-- name: add_device
INSERT INTO device (id, public_key, site, enrolled_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING

-- name: same_device
SELECT EXISTS (SELECT FROM device WHERE id = $1 AND public_key = $2 AND site = $3)

-- name: devices
SELECT id, public_key FROM device WHERE revoked_at IS NULL ORDER BY id

-- name: revoke_device
UPDATE device SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING true

-- name: set_active
WITH out AS (
    DELETE FROM session USING person p WHERE person = p.id AND p.login = $1
)
UPDATE person SET active = $2 WHERE login = $1 RETURNING true

-- name: set_password
WITH out AS (
    DELETE FROM session USING person p WHERE person = p.id AND p.login = $1
)
UPDATE person SET password = $2 WHERE login = $1 RETURNING true

-- The application's role cannot change passwords; this function lets it change the form of an old one, and no more.
-- name: rewrite_password
SELECT rewrite_password($1, $2, $3)

-- name: add_person
INSERT INTO person (login, password, role, site) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id

-- name: person_by_login
SELECT p.id, p.role, p.site, s.code AS site_code, p.password
FROM person p JOIN site s ON s.id = p.site
WHERE p.login = $1 AND p.active

-- name: add_session
INSERT INTO session (token_sha256, person, expires_at) VALUES ($1, $2, $3)

-- name: session
SELECT p.id, p.role, p.site, t.code AS site_code, s.expires_at
FROM session s JOIN person p ON p.id = s.person JOIN site t ON t.id = p.site
WHERE s.token_sha256 = $1 AND p.active

-- The task that its person held is free again, unless another session of theirs goes on.
-- name: drop_session
WITH gone AS (
    DELETE FROM session WHERE token_sha256 = $1 RETURNING person
)
UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
FROM gone
WHERE task.lease_person = gone.person AND task.lease IS NOT NULL
    AND NOT EXISTS (SELECT FROM session s WHERE s.person = gone.person AND s.token_sha256 <> $1 AND s.expires_at > $2)

-- name: drop_expired_sessions
DELETE FROM session WHERE expires_at <= $1
