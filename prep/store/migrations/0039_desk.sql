-- What those in charge do about people and findings, as facts that name who, when and why; and what the close counts.

-- A person who is paused gets no task, and nothing that she types is taken, until a supervisor says otherwise.
ALTER TABLE person ADD COLUMN paused boolean NOT NULL DEFAULT false;
CREATE TABLE person_change (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person integer NOT NULL REFERENCES person,
    change text NOT NULL CHECK (change IN ('pausa', 'reanuda', 'sitio')),
    site   smallint REFERENCES site,            -- where the person works from now on
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    by     integer NOT NULL REFERENCES person,
    at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((site IS NOT NULL) = (change = 'sitio')),
    CHECK (by <> person)
);
CREATE INDEX person_change_person ON person_change (person);

-- A change of a person by the supervisor whose session this is. Her task goes back at once, and waits for all; the draft of
-- it stays in her browser. A person who moves logs in again, at the new site. The answer: 'hecho'; 'igual' if it was so
-- before; 'propia' for oneself; 'nadie' if the session is of nobody who may; 'persona' or 'sitio' if there is none such.
CREATE FUNCTION change_person(token bytea, who text, change text, to_site text, reason text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    acting integer := (SELECT p.id FROM session s JOIN person p ON p.id = s.person
        WHERE s.token_sha256 = sha256(token) AND session_is_open(s) AND p.active AND NOT p.paused AND p.role = 'supervisor');
    goes_to smallint := (SELECT t.id FROM site t WHERE t.code = to_site);
    found_one person;
BEGIN
    IF acting IS NULL THEN
        RETURN 'nadie';
    END IF;
    SELECT * INTO found_one FROM person p WHERE p.login = who AND p.active FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'persona';
    ELSIF found_one.id = acting THEN
        RETURN 'propia';
    ELSIF change_person.change = 'sitio' AND goes_to IS NULL THEN
        RETURN 'sitio';
    ELSIF (change_person.change = 'sitio' AND found_one.site = goes_to)
            OR (change_person.change <> 'sitio' AND found_one.paused = (change_person.change = 'pausa')) THEN
        RETURN 'igual';
    END IF;
    INSERT INTO person_change (person, change, site, reason, by)
    VALUES (found_one.id, change_person.change, CASE change_person.change WHEN 'sitio' THEN goes_to END, change_person.reason, acting);
    IF change_person.change = 'sitio' THEN
        UPDATE person SET site = goes_to WHERE id = found_one.id;
        DELETE FROM session s WHERE s.person = found_one.id;
    ELSE
        UPDATE person SET paused = (change_person.change = 'pausa') WHERE id = found_one.id;
    END IF;
    DELETE FROM task t WHERE t.kind = 'control' AND t.lease_person = found_one.id;
    UPDATE task SET lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL WHERE lease_person = found_one.id;
    RETURN 'hecho';
END $$;
REVOKE EXECUTE ON FUNCTION change_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION change_person TO prep_capture, prep_app;
GRANT SELECT ON person_change TO prep_capture, prep_audit, prep_app;
GRANT SELECT (paused) ON person TO prep_capture, prep_audit, prep_app;

-- As before, and the person is not paused.
CREATE OR REPLACE FUNCTION must_be_acting(who integer, roles text[], at timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    is_paused boolean;
BEGIN
    SELECT paused INTO is_paused FROM person WHERE id = who AND active AND role = ANY (roles);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'person % is not active, or has none of the roles %', who, roles USING ERRCODE = 'PR010';
    END IF;
    IF is_paused THEN
        RAISE EXCEPTION 'person % is paused', who USING ERRCODE = 'PR012';
    END IF;
    IF NOT EXISTS (SELECT FROM session s WHERE s.person = who AND session_is_open(s)) THEN
        RAISE EXCEPTION 'person % is not logged in', who USING ERRCODE = 'PR010';
    END IF;
END $$;

-- A person who looked at an image asks its site for another one. It changes no acta.
CREATE TABLE image_request (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image  bytea NOT NULL REFERENCES image,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    person integer NOT NULL REFERENCES person,
    site   smallint NOT NULL REFERENCES site,
    at     timestamptz NOT NULL
);
CREATE INDEX image_request_image ON image_request (image);

-- A supervisor looked at a finding of the machine and says that all is right as it stands. It changes no acta.
CREATE TABLE review (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event   bigint REFERENCES event,            -- photos alike, or identities that differ
    version bigint REFERENCES acta_version,     -- one that exceeds the lista nominal
    words   text NOT NULL CHECK (length(words) BETWEEN 1 AND 500),
    person  integer NOT NULL REFERENCES person,
    site    smallint NOT NULL REFERENCES site,
    at      timestamptz NOT NULL,
    CHECK (num_nonnulls(event, version) = 1)
);
CREATE UNIQUE INDEX review_once ON review (event, version) NULLS NOT DISTINCT;

CREATE FUNCTION by_those_in_charge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM must_be_acting(NEW.person, TG_ARGV::text[], NEW.at);
    IF NOT EXISTS (SELECT FROM person WHERE id = NEW.person AND site = NEW.site) THEN
        RAISE EXCEPTION 'person % is not of site %', NEW.person, NEW.site USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER by_those_in_charge BEFORE INSERT ON image_request
    FOR EACH ROW EXECUTE FUNCTION by_those_in_charge('digitalizador', 'cotejador', 'supervisor');
CREATE TRIGGER by_those_in_charge BEFORE INSERT ON review FOR EACH ROW EXECUTE FUNCTION by_those_in_charge('supervisor');
GRANT SELECT, INSERT ON image_request, review TO prep_capture, prep_app;
GRANT SELECT ON image_request, review TO prep_audit;

-- Before the last corte the publisher tells which work waits for people.
GRANT SELECT (kind, acta) ON task TO prep_publisher;
