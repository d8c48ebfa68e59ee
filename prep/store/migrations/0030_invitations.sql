-- A device enrols itself with a code that a supervisor shows: used once, for a short time, kept as its digest.
CREATE TABLE device_invitation (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code_sha256 bytea NOT NULL UNIQUE CHECK (length(code_sha256) = 32),
    device      text NOT NULL CHECK (device ~ '^[A-Za-z0-9_-]{1,40}$'),
    site        smallint NOT NULL REFERENCES site,
    casillas    text[] NOT NULL CHECK (cardinality(casillas) <= 1000),   -- the clave of each
    person      integer REFERENCES person,      -- NULL: the owner of the database, by a command
    issued_at   timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL CHECK (expires_at BETWEEN issued_at AND issued_at + interval '1 day'),
    public_key  bytea CHECK (length(public_key) = 32),  -- that came with the code
    used_at     timestamptz,
    CHECK ((public_key IS NULL) = (used_at IS NULL))
);

-- The casillas of which a device brings the actas, by their clave: another load of the catalogue leaves them.
CREATE TABLE device_casilla (
    device text NOT NULL REFERENCES device,
    clave  text NOT NULL,
    PRIMARY KEY (device, clave)
);

-- A part adds no device by itself. It gives the code of an invitation, which it does not know before somebody brings it.
-- The device, or NULL if the code is wrong, has run out, or was used with another key. The same key again is the same
-- enrolment: its answer may have been lost.
CREATE FUNCTION redeem_invitation(code bytea, key bytea) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found_one device_invitation;
BEGIN
    SELECT * INTO found_one FROM device_invitation i WHERE i.code_sha256 = sha256(code) AND i.expires_at > now() FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF found_one.used_at IS NOT NULL THEN
        RETURN CASE WHEN found_one.public_key = key THEN found_one.device END;
    END IF;
    IF EXISTS (SELECT FROM device_key k WHERE k.public_key = key) OR EXISTS (SELECT FROM device d WHERE d.id = found_one.device) THEN
        RETURN NULL;
    END IF;
    INSERT INTO device (id, public_key, site, enrolled_at) VALUES (found_one.device, key, found_one.site, now());
    INSERT INTO device_key (public_key, device, since) VALUES (key, found_one.device, now());
    INSERT INTO device_casilla (device, clave) SELECT found_one.device, c FROM unnest(found_one.casillas) c;
    UPDATE device_invitation i SET public_key = key, used_at = now() WHERE i.id = found_one.id;
    RETURN found_one.device;
END $$;

-- An invitation by the person whose session this is: a supervisor or an administrator. When it runs out; NULL if the
-- session is of nobody who may.
CREATE FUNCTION invite_device(token bytea, device text, site smallint, casillas text[], code_sha256 bytea, lasts interval)
    RETURNS timestamptz
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        INSERT INTO device_invitation (code_sha256, device, site, casillas, person, expires_at)
        SELECT invite_device.code_sha256, invite_device.device, invite_device.site, invite_device.casillas, p.id, now() + lasts
        FROM session s JOIN person p ON p.id = s.person
        WHERE s.token_sha256 = sha256(token) AND session_is_open(s) AND p.active AND p.role IN ('supervisor', 'administrador')
        RETURNING expires_at;
    END;

REVOKE EXECUTE ON FUNCTION redeem_invitation, invite_device FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redeem_invitation, invite_device TO prep_capture, prep_app;
GRANT SELECT ON device_casilla TO prep_capture, prep_audit, prep_app;
GRANT SELECT (id, device, site, casillas, person, issued_at, expires_at, used_at) ON device_invitation TO prep_audit, prep_app;
