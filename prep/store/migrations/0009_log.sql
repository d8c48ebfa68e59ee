-- The transparency log: every leaf as it was made, in its order, and how far the tree has come.

-- What makes the commitment to a capture tell nothing before it is opened.
ALTER TABLE entry ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);

-- The number from which the sequencer goes on. Numbers may be missing, and a lower one may commit after a higher.
ALTER TABLE arrival ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;

-- What the night began with.
CREATE TABLE log_start (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    at        timestamptz NOT NULL,
    origen    text NOT NULL,
    simulacro boolean NOT NULL,
    catalogo  text NOT NULL,
    reglas    text NOT NULL,
    politica  text NOT NULL,            -- the file itself
    clave     text NOT NULL,            -- of the log, as a C2SP verifier key
    keys      bigint NOT NULL           -- log_key up to this id is part of it; a later one is a leaf of its own
);

-- Keys as they were when the log learned of them: a device's own row may be changed.
CREATE TABLE log_key (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    de         text NOT NULL CHECK (de IN ('dispositivo', 'bitacora')),
    nombre     text NOT NULL,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    at         timestamptz NOT NULL,
    UNIQUE (de, nombre, public_key)
);

CREATE TABLE log_leaf (
    index     bigint PRIMARY KEY CHECK (index >= 0),
    kind      text NOT NULL,
    reference bigint NOT NULL,          -- number or id of the fact; 0 of the start
    device    text,                     -- of an image
    content   bytea NOT NULL,
    UNIQUE (kind, reference)            -- no fact twice
);
CREATE INDEX log_leaf_device ON log_leaf (device, index) WHERE device IS NOT NULL;

-- The head of the tree of files, swapped only for its successor (integrity.log.State).
CREATE TABLE log_state (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    size       bigint NOT NULL CHECK (size >= 0),
    root       bytea NOT NULL CHECK (length(root) = 32),
    checkpoint bytea                    -- signed for this head; NULL until it is out
);

GRANT SELECT, INSERT ON log_start, log_key, log_leaf TO prep_app;
GRANT SELECT, INSERT, UPDATE ON log_state TO prep_app;
