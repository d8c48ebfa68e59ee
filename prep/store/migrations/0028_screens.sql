-- What a screen adds to a capture, and a device that those in charge declare lost.

-- The fields whose letters and figures contradict each other on the paper, as the person who typed it saw them; and the
-- time and the keys that the acta took, without any value. It decides nothing.
CREATE TABLE capture_note (
    entry        bigint PRIMARY KEY REFERENCES entry,
    letters      text[] NOT NULL,
    milliseconds integer CHECK (milliseconds >= 0),
    keys         integer CHECK (keys >= 0)
);
GRANT SELECT, INSERT ON capture_note TO prep_capture, prep_app;
GRANT SELECT ON capture_note TO prep_audit;

-- A device that is lost or stolen sends no more. The person whose session this is, a supervisor or an administrator, says
-- so; NULL if the session is of nobody who may, or there is no such device. The owner of the database gives it a new key.
ALTER TABLE device ADD COLUMN revoked_by integer REFERENCES person;
CREATE FUNCTION lose_device(token bytea, device text) RETURNS timestamptz
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        UPDATE device d SET revoked_at = coalesce(d.revoked_at, now()),
            revoked_by = CASE WHEN d.revoked_at IS NULL THEN p.id ELSE d.revoked_by END
        FROM session s JOIN person p ON p.id = s.person
        WHERE d.id = lose_device.device
            AND s.token_sha256 = sha256(lose_device.token) AND session_is_open(s)
            AND p.active AND p.role IN ('supervisor', 'administrador')
        RETURNING d.revoked_at;
    END;
REVOKE EXECUTE ON FUNCTION lose_device FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lose_device TO prep_capture, prep_app;
