-- Decisions that need two people.

-- Among three different captures somebody who typed none of them chooses: each of the three would take her own.
ALTER TABLE task DROP COLUMN only_person;
UPDATE task SET not_persons = (SELECT array_agg(e.person) FROM entry e WHERE e.acta = task.acta AND e.ronda = task.ronda),
    lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
WHERE kind = 'resolucion';

CREATE FUNCTION resolution_of_another() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM entry e WHERE e.acta = NEW.acta AND e.ronda = NEW.ronda AND e.person = NEW.person) THEN
        RAISE EXCEPTION 'person % typed one of the captures of acta %', NEW.person, NEW.acta
            USING ERRCODE = 'check_violation', CONSTRAINT = 'resolution_of_another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resolution_of_another BEFORE INSERT ON resolution FOR EACH ROW EXECUTE FUNCTION resolution_of_another();
