-- Decisions that need two people.

-- Among three different captures somebody who typed none of them chooses: each of the three would take her own.
ALTER TABLE task DROP COLUMN only_person;
UPDATE task SET not_persons = (SELECT array_agg(e.person) FROM entry e WHERE e.acta = task.acta AND e.ronda = task.ronda),
    lease = NULL, lease_person = NULL, leased_at = NULL, lease_until = NULL
WHERE kind = 'resolucion';

CREATE FUNCTION resolution_of_another() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM entry e WHERE e.acta = NEW.acta AND e.ronda = NEW.ronda AND e.person = NEW.person) THEN
        RAISE EXCEPTION 'person % typed one of the captures of acta %', NEW.person, NEW.acta
            USING ERRCODE = 'check_violation', CONSTRAINT = 'resolution_of_another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resolution_of_another BEFORE INSERT ON resolution FOR EACH ROW EXECUTE FUNCTION resolution_of_another();

-- Sites are a closed list. Until a catalogue brings its own (sitios.csv), these stand in it; those of a database that is
-- in use stay.
ALTER TABLE site ADD COLUMN name text NOT NULL DEFAULT '';
INSERT INTO site (code) SELECT code FROM unnest('{CATD-1,CATD-2,CCV-1,CCV-2}'::text[]) AS listed (code)
WHERE NOT EXISTS (SELECT FROM site);

-- A decision: what one person proposed, what another answered, and in the same way its undoing.
CREATE TABLE proposal (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('sin_acta', 'imagen_de_otra_acta', 'fuera_de_catalogo', 'imagen_sin_identidad',
        'mensaje_descartado', 'numero_perdido')),
    undoes      bigint REFERENCES proposal,     -- the decision whose effect it takes back
    subject     text NOT NULL,                  -- what it is about: one decision about it waits at a time
    acta        bigint REFERENCES acta,         -- the acta that it is about, or whose image it takes away
    to_acta     bigint REFERENCES acta,         -- the acta to which the image goes
    image       bytea REFERENCES image,
    identity    text NOT NULL DEFAULT '',       -- QR text of what the image shows; '' if that is still to be said
    parked      bigint REFERENCES parked,
    device      text REFERENCES device,
    sequence    bigint CHECK (sequence > 0),
    reason      text NOT NULL,                  -- of the closed list of prep/domain/decision.py
    words       text NOT NULL,
    person      integer NOT NULL REFERENCES person,
    site        smallint NOT NULL REFERENCES site,
    proposed_at timestamptz NOT NULL,
    CHECK (acta IS NOT NULL OR kind <> 'sin_acta'),
    CHECK ((image IS NOT NULL) = (kind IN ('imagen_de_otra_acta', 'fuera_de_catalogo', 'imagen_sin_identidad'))),
    CHECK ((parked IS NOT NULL) = (kind = 'mensaje_descartado')),
    CHECK ((device IS NOT NULL) = (kind = 'numero_perdido') AND (device IS NOT NULL) = (sequence IS NOT NULL))
);
CREATE INDEX proposal_subject ON proposal (subject);
CREATE INDEX proposal_undoes ON proposal (undoes) WHERE undoes IS NOT NULL;

CREATE TABLE confirmation (
    proposal    bigint PRIMARY KEY REFERENCES proposal,     -- answered once
    agrees      boolean NOT NULL,                           -- false: it is refused, or taken back by its own person
    words       text NOT NULL,
    person      integer NOT NULL REFERENCES person,
    site        smallint NOT NULL REFERENCES site,
    answered_at timestamptz NOT NULL
);

-- The state of each decision, which its facts give.
CREATE VIEW decision AS
SELECT p.id, p.kind, p.subject, p.acta, p.to_acta, p.image, p.identity, p.parked, p.device, p.sequence, p.reason, p.words,
    p.person, p.proposed_at, c.person AS answered_by, c.answered_at, u.id AS undo, u.reason AS undo_reason,
    u.words AS undo_words, u.person AS undo_person, u.proposed_at AS undo_at, d.person AS undone_by, d.answered_at AS undone_at,
    CASE WHEN c.agrees IS NULL THEN 'propuesta' WHEN NOT c.agrees THEN 'rechazada'
        WHEN u.id IS NULL OR NOT d.agrees THEN 'confirmada' WHEN d.agrees THEN 'deshecha' ELSE 'por deshacer' END AS state
FROM proposal p
LEFT JOIN confirmation c ON c.proposal = p.id
LEFT JOIN LATERAL (SELECT * FROM proposal w WHERE w.undoes = p.id ORDER BY w.id DESC LIMIT 1) u ON true
LEFT JOIN confirmation d ON d.proposal = u.id
WHERE p.undoes IS NULL;

-- The legal moves of prep/domain/decision.py; a test compares the two.
CREATE TABLE decision_move (
    from_state text NOT NULL,
    move       text NOT NULL,
    to_state   text NOT NULL,
    PRIMARY KEY (from_state, move)
);
INSERT INTO decision_move VALUES
    ('propuesta', 'confirma', 'confirmada'),
    ('propuesta', 'rechaza', 'rechazada'),
    ('confirmada', 'pide deshacer', 'por deshacer'),
    ('por deshacer', 'confirma', 'deshecha'),
    ('por deshacer', 'rechaza', 'confirmada');

CREATE FUNCTION decision_refused(name text, said text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', said USING ERRCODE = 'check_violation', CONSTRAINT = name;
END $$;

-- One decision about a subject waits at a time, and the last one that has its effect is undone first.
CREATE FUNCTION proposal_is_legal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    undone decision%ROWTYPE;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.subject, 23));
    IF EXISTS (SELECT FROM corte WHERE phase = 'final') THEN
        PERFORM decision_refused('night_closed', 'the night has closed');
    END IF;
    IF EXISTS (SELECT FROM decision d WHERE d.subject = NEW.subject AND d.state IN ('propuesta', 'por deshacer')) THEN
        PERFORM decision_refused('decision_open', format('a decision about %s is open', NEW.subject));
    END IF;
    IF NEW.undoes IS NOT NULL THEN
        SELECT * INTO undone FROM decision d WHERE d.id = NEW.undoes;
        IF undone.id IS NULL OR undone.subject <> NEW.subject OR undone.kind <> NEW.kind
            OR NOT EXISTS (SELECT FROM decision_move m WHERE m.from_state = undone.state AND m.move = 'pide deshacer')
            OR EXISTS (SELECT FROM decision d WHERE d.subject = NEW.subject AND d.id > NEW.undoes AND d.state = 'confirmada') THEN
            PERFORM decision_refused('decision_move', format('decision %s cannot be undone now', NEW.undoes));
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposal_is_legal BEFORE INSERT ON proposal FOR EACH ROW EXECUTE FUNCTION proposal_is_legal();

CREATE FUNCTION confirmation_is_legal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asked proposal%ROWTYPE;
BEGIN
    SELECT * INTO asked FROM proposal p WHERE p.id = NEW.proposal;
    PERFORM pg_advisory_xact_lock(hashtextextended(asked.subject, 23));
    IF NEW.agrees AND NEW.person = asked.person THEN
        PERFORM decision_refused('another_person', format('person %s proposed it herself', NEW.person));
    END IF;
    IF NEW.agrees AND EXISTS (SELECT FROM corte WHERE phase = 'final') THEN
        PERFORM decision_refused('night_closed', 'the night has closed');
    END IF;
    IF NOT EXISTS (
        SELECT FROM decision d JOIN decision_move m ON m.from_state = d.state
        WHERE d.id = coalesce(asked.undoes, asked.id) AND m.move = CASE WHEN NEW.agrees THEN 'confirma' ELSE 'rechaza' END
    ) THEN
        PERFORM decision_refused('decision_move', format('proposal %s was answered', NEW.proposal));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER confirmation_is_legal BEFORE INSERT ON confirmation FOR EACH ROW EXECUTE FUNCTION confirmation_is_legal();

-- Which corte published a decision first.
CREATE TABLE publication_decision (
    proposal bigint PRIMARY KEY REFERENCES confirmation,
    corte    integer NOT NULL REFERENCES corte DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX publication_decision_corte ON publication_decision (corte);

-- What two people took away from an acta: it is expected again.
INSERT INTO acta_move (from_estado, move, to_estado) VALUES
    ('Acopiada', 'retiro', 'Esperada'),
    ('Digitalizada', 'retiro', 'Esperada'),
    ('Capturada', 'retiro', 'Esperada'),
    ('Verificada', 'retiro', 'Esperada'),
    ('Publicada', 'retiro', 'Esperada'),
    ('Cotejada', 'retiro', 'Esperada');
ALTER TABLE acta_version DROP CONSTRAINT acta_version_reason_check;
ALTER TABLE acta_version ADD CONSTRAINT acta_version_reason_check
    CHECK (reason IN ('captura', 'recaptura', 'sin_acta', 'cotejo', 'retiro'));
ALTER TABLE acta_version ADD COLUMN decision bigint REFERENCES confirmation;

-- No version says from one person's word that an acta will not come, or that it is expected again.
CREATE FUNCTION acta_version_of_two() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.reason IN ('sin_acta', 'retiro') AND NOT EXISTS (
        SELECT FROM confirmation c JOIN proposal p ON p.id = c.proposal
        WHERE c.proposal = NEW.decision AND c.agrees AND NEW.acta IN (p.acta, p.to_acta)
    ) THEN
        PERFORM decision_refused('acta_version_of_two', format('no two people decided it of acta %s', NEW.acta));
    END IF;
    RETURN NEW;
END $$;
-- Triggers fire in the order of their names: this one before the one that looks at the values.
CREATE TRIGGER acta_version_by_two BEFORE INSERT ON acta_version FOR EACH ROW EXECUTE FUNCTION acta_version_of_two();

-- An image may be fuera de catálogo again after that was undone, with another identity: each time is a fact of its own.
ALTER TABLE fuera_catalogo DROP CONSTRAINT fuera_catalogo_pkey;
ALTER TABLE fuera_catalogo ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN decision bigint REFERENCES confirmation;     -- NULL: of a sticker alone, before two people had to look
CREATE INDEX fuera_catalogo_image ON fuera_catalogo (image);
CREATE TABLE fuera_removed (
    fuera    bigint PRIMARY KEY REFERENCES fuera_catalogo,
    decision bigint NOT NULL REFERENCES confirmation
);
CREATE TABLE publication_fuera (
    fuera bigint PRIMARY KEY REFERENCES fuera_catalogo,
    corte integer NOT NULL REFERENCES corte DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO publication_fuera SELECT f.id, p.corte FROM fuera_catalogo f JOIN publication_image p USING (image);

-- Statements up to this one were settled before the image came back to be identified.
ALTER TABLE image_current ADD COLUMN settled bigint NOT NULL DEFAULT 0;

GRANT SELECT ON decision, decision_move TO prep_app;
GRANT SELECT, INSERT ON proposal, confirmation, publication_decision, fuera_removed, publication_fuera TO prep_app;
