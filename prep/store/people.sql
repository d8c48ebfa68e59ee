-- Who may speak to the system: sites, devices, people and their sessions. Each block is one statement.

-- name: sites
SELECT code, id FROM site ORDER BY code

-- Its key is kept for ever: no key that any device ever had is given to a device again.
-- name: add_device
WITH added AS (
    INSERT INTO device (id, public_key, site, enrolled_at)
    SELECT $1, $2::bytea, $3, $4 WHERE NOT EXISTS (SELECT FROM device_key k WHERE k.public_key = $2::bytea)
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO device_key (public_key, device, since) SELECT $2::bytea, id, $4 FROM added

-- name: same_device
SELECT EXISTS (SELECT FROM device WHERE id = $1 AND public_key = $2 AND site = $3)

-- name: devices
SELECT id, public_key FROM device WHERE revoked_at IS NULL ORDER BY id

-- name: revoke_device
UPDATE device SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING true

-- name: key_was_used
SELECT EXISTS (SELECT FROM device_key WHERE public_key = $1)

-- name: rotate_device
WITH rotated AS (
    UPDATE device SET public_key = $2::bytea WHERE id = $1 AND revoked_at IS NULL RETURNING id
)
INSERT INTO device_key (public_key, device, since) SELECT $2::bytea, id, $3 FROM rotated RETURNING true

-- name: device
SELECT d.id, s.code AS site, d.enrolled_at, d.revoked_at,
    ARRAY (SELECT encode(k.public_key, 'hex') || ' ' || k.since::text FROM device_key k WHERE k.device = d.id ORDER BY k.since, k.public_key) AS keys
FROM device d JOIN site s ON s.id = d.site
WHERE d.id = $1

-- name: sent_by_device
SELECT a.sequence, encode(a.image, 'hex') AS image, a.received_at, c.state, k.clave
FROM arrival a JOIN image_current c ON c.image = a.image LEFT JOIN acta k ON k.id = c.acta
WHERE a.device = $1
ORDER BY a.sequence

-- name: add_device_loss
INSERT INTO device_loss (device, numbers, reason, person, confirmed, at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: device_losses
SELECT numbers, reason, at FROM device_loss WHERE device = $1 ORDER BY id

-- name: set_active
WITH out AS (
    DELETE FROM session USING person p WHERE person = p.id AND p.login = $1
)
UPDATE person SET active = $2 WHERE login = $1 RETURNING true

-- name: set_password
WITH out AS (
    DELETE FROM session USING person p WHERE person = p.id AND p.login = $1
)
UPDATE person SET password_form = $2, key_sha256 = sha256($3) WHERE login = $1 RETURNING true

-- No part can change passwords; this function lets capture change the form of an old one, and no more.
-- name: rewrite_password
SELECT rewrite_password($1, $2, $3, sha256($4))

-- name: add_person
INSERT INTO person (login, password_form, key_sha256, role, site) VALUES ($1, $2, sha256($3), $4, $5)
ON CONFLICT DO NOTHING RETURNING id

-- name: person_by_login
SELECT p.id, p.login, p.role, p.site, s.code AS site_code, p.password_form
FROM person p JOIN site s ON s.id = p.site
WHERE p.login = $1 AND p.active

-- No part reads what keys are compared with.
-- name: key_is_right
SELECT key_is_theirs($1, $2)

-- name: open_session
SELECT open_session($1, $2, $3, $4, $5)

-- name: session
SELECT p.id, p.login, p.role, p.site, t.code AS site_code, s.seconds
FROM see_session($1) s JOIN person p ON p.id = s.person JOIN site t ON t.id = p.site
WHERE p.active

-- name: end_session
SELECT end_session($1)

-- name: free_task
WITH ended AS (
    DELETE FROM task WHERE kind = 'control' AND lease_person = $1 AND lease IS NOT NULL
)
UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
WHERE kind <> 'control' AND lease_person = $1 AND lease IS NOT NULL

-- name: lose_device
SELECT lose_device($1, $2)

-- name: device_exists
SELECT EXISTS (SELECT FROM device WHERE id = $1)

-- name: change_person
SELECT change_person($1, $2, $3, $4, $5)

-- name: is_paused
SELECT paused FROM person WHERE id = $1
