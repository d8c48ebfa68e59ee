-- Hidden known actas, by which a night measures how people type, and of which nothing ever counts.

-- A hidden known acta, while a person holds it: a task of its own kind, which nobody else is ever offered.
ALTER TABLE task DROP CONSTRAINT task_kind_check;
ALTER TABLE task ADD CONSTRAINT task_kind_check CHECK (kind IN ('captura', 'identificacion', 'resolucion', 'control')),
    ADD CONSTRAINT task_control_is_held CHECK (kind <> 'control' OR lease IS NOT NULL);

-- What a person typed of a hidden known acta. No version, no leaf and no message comes of it. It takes all that a capture
-- and its note (capture_note) take: if it refused anything, a person could tell it.
CREATE TABLE control_capture (
    id           bigint PRIMARY KEY,
    acta         bigint NOT NULL REFERENCES acta,
    image        bytea NOT NULL REFERENCES image,
    person       integer NOT NULL REFERENCES person,
    site         smallint NOT NULL REFERENCES site,
    lease        uuid NOT NULL UNIQUE,
    leased_at    timestamptz NOT NULL,
    typed_at     timestamptz NOT NULL,
    numbers      integer[] NOT NULL CHECK (0 <= ALL (numbers)),
    marks        text NOT NULL CHECK (marks ~ '^[NISX]+$' AND length(marks) = cardinality(numbers)),
    letters      text[] NOT NULL,
    milliseconds integer CHECK (milliseconds >= 0),
    keys         integer CHECK (keys >= 0),
    UNIQUE (acta, person)
);

-- It is typed by a person who is there and has not typed that acta. Its number is of the same row of numbers as that of
-- every capture: a person sees it in the answer.
CREATE FUNCTION control_capture_follows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM must_be_acting(NEW.person, '{capturista, verificador, supervisor, administrador}', NEW.typed_at);
    IF NOT EXISTS (SELECT FROM person WHERE id = NEW.person AND site = NEW.site) THEN
        RAISE EXCEPTION 'acta %: person % is not of site %', NEW.acta, NEW.person, NEW.site USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM entry e WHERE e.acta = NEW.acta AND e.person = NEW.person) THEN
        RAISE EXCEPTION 'acta %: person % has typed it', NEW.acta, NEW.person USING ERRCODE = 'check_violation';
    END IF;
    NEW.id := nextval(pg_get_serial_sequence('public.entry', 'id'));
    RETURN NEW;
END $$;
CREATE TRIGGER a_night_is_open BEFORE INSERT ON control_capture FOR EACH ROW EXECUTE FUNCTION night_is_open();
CREATE TRIGGER control_capture_follows BEFORE INSERT ON control_capture
    FOR EACH ROW EXECUTE FUNCTION control_capture_follows();

GRANT SELECT, INSERT ON control_capture TO prep_capture, prep_app;
GRANT SELECT ON control_capture TO prep_audit;
