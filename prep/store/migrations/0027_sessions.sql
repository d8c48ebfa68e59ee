-- One session a person, which ends at its hour, or once its person has been idle for too long; PostgreSQL's clock says so.
--
-- No part reads or changes the table. Capture opens, looks up and ends a session with the token itself, which is nowhere
-- here: a digest that is read in a copy of the table opens nothing, and keeps no session alive.

-- Of several sessions of a person the one that lasts longest stays.
DELETE FROM session s USING session t
WHERE s.person = t.person AND (s.expires_at, s.token_sha256) < (t.expires_at, t.token_sha256);
DROP INDEX session_person;
ALTER TABLE session
    ADD CONSTRAINT session_one_a_person UNIQUE (person),
    ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN idle interval NOT NULL DEFAULT '30 minutes' CHECK (idle > '0');
ALTER TABLE session ALTER COLUMN seen_at DROP DEFAULT, ALTER COLUMN idle DROP DEFAULT;

CREATE FUNCTION session_is_open(s session) RETURNS boolean LANGUAGE sql STABLE
    RETURN s.expires_at > now() AND s.seen_at + s.idle > now();

-- A session for the person whose key this is, and when it ends; NULL if the key is not theirs. The one way in which a part
-- adds a session. It takes the place of an earlier one of that person, whose token opens nothing from then on.
DROP FUNCTION open_session;
CREATE FUNCTION open_session(who integer, key bytea, token bytea, lasts interval, idle interval) RETURNS timestamptz
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        INSERT INTO session (token_sha256, person, expires_at, seen_at, idle)
        SELECT sha256(token), p.id, now() + lasts, now(), open_session.idle FROM person p
        WHERE p.id = who AND p.active AND p.key_sha256 = sha256(key)
        ON CONFLICT (person) DO UPDATE
            SET token_sha256 = excluded.token_sha256, expires_at = excluded.expires_at, seen_at = excluded.seen_at,
                idle = excluded.idle
        RETURNING expires_at;
    END;

-- Whose session this is, and for how many seconds it stays open if no other request comes; no row if it has ended.
-- This look counts as a request. Not every look writes: one in half a minute is enough.
CREATE FUNCTION see_session(token bytea) RETURNS TABLE (person integer, seconds double precision)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        UPDATE session s SET seen_at = now()
        WHERE s.token_sha256 = sha256(token) AND session_is_open(s)
            AND s.seen_at < now() - least(s.idle / 10, interval '30 seconds');
        SELECT s.person, extract(epoch FROM least(s.expires_at, s.seen_at + s.idle) - now())
        FROM session s WHERE s.token_sha256 = sha256(token) AND session_is_open(s);
    END;

-- The person whose session this was; NULL if it was none.
CREATE FUNCTION end_session(token bytea) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        DELETE FROM session s WHERE s.token_sha256 = sha256(token) RETURNING s.person;
    END;

-- What a person does: the person is active, has one of these roles, and has an open session. The moment that a fact names
-- says nothing about that: the process that adds it wrote it.
CREATE OR REPLACE FUNCTION must_be_acting(who integer, roles text[], at timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM person WHERE id = who AND active AND role = ANY (roles)) THEN
        RAISE EXCEPTION 'person % is not active, or has none of the roles %', who, roles USING ERRCODE = 'PR010';
    END IF;
    IF NOT EXISTS (SELECT FROM session s WHERE s.person = who AND session_is_open(s)) THEN
        RAISE EXCEPTION 'person % is not logged in', who USING ERRCODE = 'PR010';
    END IF;
END $$;

REVOKE ALL ON session FROM prep_capture, prep_app;
GRANT EXECUTE ON FUNCTION open_session, see_session, end_session TO prep_capture, prep_app;
GRANT SELECT (seen_at, idle) ON session TO prep_audit;
-- The ceremonies count the rows of every table; an installation with one address for all parts asks as prep_app.
GRANT SELECT (person, expires_at, seen_at, idle) ON session TO prep_app;
