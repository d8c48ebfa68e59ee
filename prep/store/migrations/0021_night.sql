-- The night, declared once (domain/night.py). From the log's first leaf, or from corte 0 on, rows refer to its digest: then
-- it can neither change nor go. A real night has its hours and its ceremony, and no way to begin again.
CREATE TABLE night (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest      text NOT NULL UNIQUE,
    content     text NOT NULL,          -- canonical JSON, of which `digest` is the SHA-256
    policy      text,                   -- the file politica.txt; NULL: no witnesses
    logo        bytea,
    simulacro   boolean NOT NULL,
    ensayo      boolean NOT NULL,       -- may begin in the past
    ceremony    boolean NOT NULL,       -- corte 0 waits for `prep zero`
    starts_at   timestamptz,
    ends_at     timestamptz,
    declared_at timestamptz NOT NULL,
    UNIQUE (digest, simulacro),
    CHECK (digest = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
    CHECK (starts_at < ends_at),
    CHECK ((starts_at IS NULL) = (ends_at IS NULL)),
    CHECK (NOT ensayo OR simulacro),
    CHECK (ensayo OR (starts_at IS NOT NULL AND ceremony))
);
GRANT SELECT ON night TO prep_app;

-- Every corte and the log name the declaration that they were made under, and say the same of whether it is a simulacro.
-- Rows from before this migration name none.
ALTER TABLE corte ADD COLUMN declaracion text,
    ADD FOREIGN KEY (declaracion, simulacro) REFERENCES night (digest, simulacro),
    ADD CONSTRAINT corte_declaracion CHECK (declaracion IS NOT NULL) NOT VALID;
ALTER TABLE log_start ADD COLUMN declaracion text,
    ADD FOREIGN KEY (declaracion, simulacro) REFERENCES night (digest, simulacro),
    ADD CONSTRAINT log_start_declaracion CHECK (declaracion IS NOT NULL) NOT VALID;

-- These functions look at tables that the role which is refused need not be able to read.
-- Corte 0 of a night with a ceremony comes after the record that everything was at zero.
CREATE FUNCTION corte_zero_after_ceremony() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM night WHERE ceremony)
        AND NOT EXISTS (SELECT FROM ceremony WHERE kind = 'cero' AND momento = 'inicio') THEN
        RAISE EXCEPTION 'corte 0 waits for the ceremony of the zeros' USING ERRCODE = 'PR002';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER corte_zero_after_ceremony BEFORE INSERT ON corte
    FOR EACH ROW WHEN (NEW.number = 0) EXECUTE FUNCTION corte_zero_after_ceremony();

-- After the last corte no number changes any more. Later images are kept: the image, its arrival and its reading.
CREATE UNIQUE INDEX corte_final ON corte ((true)) WHERE phase = 'final';
CREATE FUNCTION night_is_open() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM corte WHERE phase = 'final') THEN
        RAISE EXCEPTION 'the night is closed: no new %', TG_TABLE_NAME USING ERRCODE = 'PR001';
    END IF;
    RETURN NEW;
END $$;
-- Triggers fire in the order of their names: these come first.
CREATE TRIGGER a_night_is_open BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION night_is_open();
CREATE TRIGGER a_night_is_open BEFORE INSERT ON resolution FOR EACH ROW EXECUTE FUNCTION night_is_open();
CREATE TRIGGER a_night_is_open BEFORE INSERT ON identification FOR EACH ROW EXECUTE FUNCTION night_is_open();
CREATE TRIGGER a_night_is_open BEFORE INSERT ON acta_version FOR EACH ROW EXECUTE FUNCTION night_is_open();
CREATE TRIGGER a_night_is_open BEFORE UPDATE OF estado ON acta_current FOR EACH ROW
    WHEN (NEW.estado <> OLD.estado AND NEW.estado <> 'Publicada') EXECUTE FUNCTION night_is_open();

-- A rehearsal can begin again: the owner empties its tables. A real night cannot, once it has a corte.
CREATE FUNCTION real_night_stays() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM night WHERE NOT simulacro) AND EXISTS (SELECT FROM corte) THEN
        RAISE EXCEPTION 'a real night is not emptied: %', TG_TABLE_NAME USING ERRCODE = 'PR003';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER real_night_stays BEFORE TRUNCATE OR DELETE ON corte FOR EACH STATEMENT EXECUTE FUNCTION real_night_stays();
CREATE TRIGGER real_night_stays BEFORE TRUNCATE OR DELETE ON night FOR EACH STATEMENT EXECUTE FUNCTION real_night_stays();
