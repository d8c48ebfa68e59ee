-- The current state: rows that point at facts, and the work that waits for a person. These may change.

CREATE TABLE person (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login    text NOT NULL UNIQUE CHECK (login ~ '^[a-z0-9._-]{1,40}$'),
    password text NOT NULL,             -- scrypt, with its parameters and salt
    role     text NOT NULL CHECK (role IN (
        'operador_catd', 'digitalizador', 'capturista', 'verificador', 'supervisor', 'cotejador',
        'administrador', 'auditor', 'observador')),
    site     smallint NOT NULL REFERENCES site,
    active   boolean NOT NULL DEFAULT true
);

CREATE TABLE session (
    token_sha256 bytea PRIMARY KEY,     -- the token itself is nowhere
    person       integer NOT NULL REFERENCES person ON DELETE CASCADE,
    expires_at   timestamptz NOT NULL
);

-- The legal moves of domain/acta.py, as pairs of states. A test compares the two.
CREATE TABLE acta_move (
    from_estado text NOT NULL,
    to_estado   text NOT NULL,
    PRIMARY KEY (from_estado, to_estado)
);
INSERT INTO acta_move VALUES
    ('Esperada', 'Acopiada'), ('Esperada', 'Verificada'), ('Acopiada', 'Digitalizada'),
    ('Digitalizada', 'Capturada'), ('Capturada', 'Capturada'), ('Capturada', 'Verificada'),
    ('Capturada', 'Digitalizada'), ('Verificada', 'Publicada'), ('Verificada', 'Digitalizada'),
    ('Publicada', 'Cotejada'), ('Publicada', 'Digitalizada'), ('Cotejada', 'Digitalizada');

CREATE TABLE acta_current (
    acta       bigint PRIMARY KEY REFERENCES acta,
    estado     text NOT NULL CHECK (estado IN (
        'Esperada', 'Acopiada', 'Digitalizada', 'Capturada', 'Verificada', 'Publicada', 'Cotejada')),
    ronda      smallint NOT NULL DEFAULT 0,
    image      bytea REFERENCES image,          -- the current one of perhaps several
    version    bigint REFERENCES acta_version,  -- what counts
    changed_at timestamptz NOT NULL
);
CREATE INDEX acta_current_estado ON acta_current (estado) WHERE estado IN ('Acopiada', 'Digitalizada', 'Capturada', 'Verificada');

CREATE FUNCTION acta_current_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.estado <> 'Esperada' THEN
            RAISE EXCEPTION 'an acta begins as Esperada, not as %', NEW.estado USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.acta <> OLD.acta OR (NEW.estado <> OLD.estado
        AND NOT EXISTS (SELECT FROM acta_move WHERE from_estado = OLD.estado AND to_estado = NEW.estado)) THEN
        RAISE EXCEPTION 'acta %: no move from % to %', OLD.acta, OLD.estado, NEW.estado USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER acta_current_moves BEFORE INSERT OR UPDATE ON acta_current
    FOR EACH ROW EXECUTE FUNCTION acta_current_moves();

CREATE TABLE image_current (
    image      bytea PRIMARY KEY REFERENCES image,
    state      text NOT NULL CHECK (state IN ('recibida', 'por_identificar', 'identificada', 'fuera_de_catalogo', 'ilegible')),
    acta       bigint REFERENCES acta,
    changed_at timestamptz NOT NULL,
    CHECK ((acta IS NOT NULL) = (state = 'identificada'))
);
CREATE INDEX image_current_acta ON image_current (acta);
CREATE INDEX image_current_state ON image_current (state) WHERE state <> 'identificada';

-- One step that waits for a person: a capture, an identification, or the choice among three captures.
CREATE TABLE task (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('captura', 'identificacion', 'resolucion')),
    acta         bigint REFERENCES acta,
    image        bytea NOT NULL REFERENCES image,
    ronda        smallint NOT NULL,
    ordinal      smallint NOT NULL,
    queue_at     timestamptz NOT NULL,          -- creation plus a random moment: who gets whose acta cannot be arranged
    created_at   timestamptz NOT NULL,
    not_persons  integer[] NOT NULL,            -- who has already typed this one
    not_site     smallint,                      -- second capture: another site, if there are two
    only_person  integer,                       -- resolution: the third person (or a supervisor)
    lease        uuid UNIQUE,
    lease_person integer,
    leased_at    timestamptz,
    lease_until  timestamptz,
    CHECK ((kind = 'identificacion') = (acta IS NULL)),
    CHECK ((lease IS NULL) = (lease_person IS NULL) AND (lease IS NULL) = (lease_until IS NULL))
);
CREATE UNIQUE INDEX task_once ON task (kind, coalesce(acta, 0), (CASE WHEN acta IS NULL THEN image END), ronda, ordinal)
    NULLS NOT DISTINCT;
CREATE UNIQUE INDEX task_person ON task (lease_person) WHERE lease IS NOT NULL;   -- one at a time for each person
CREATE INDEX task_queue ON task (kind, queue_at);
