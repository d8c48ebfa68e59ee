-- Facts: insert-only. The application's role cannot UPDATE or DELETE here (0005_roles.sql).
-- Every fact keeps who, where, when and the values.

CREATE TABLE site (
    id   smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE
);

CREATE TABLE device (
    id          text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,40}$'),
    public_key  bytea NOT NULL UNIQUE CHECK (length(public_key) = 32),   -- Ed25519
    site        smallint NOT NULL REFERENCES site,
    enrolled_at timestamptz NOT NULL,
    revoked_at  timestamptz             -- the owner of the database alone sets it
);

CREATE TABLE image (
    sha256      bytea PRIMARY KEY CHECK (length(sha256) = 32),
    bytes       integer NOT NULL CHECK (bytes > 0),
    format      text NOT NULL,          -- jpeg, png, webp, tiff, pdf
    received_at timestamptz NOT NULL
);

-- One acknowledged upload. The same image may arrive many times.
CREATE TABLE arrival (
    id             text PRIMARY KEY,    -- of the message that announced it
    image          bytea NOT NULL REFERENCES image,
    device         text NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    origen         text NOT NULL CHECK (origen IN ('CASILLA', 'CATD')),
    digitalizacion text NOT NULL CHECK (digitalizacion IN ('movil', 'escaner', 'urna')),
    traslado       text NOT NULL,       -- '', or letters of D, F, I
    tipo_documento text NOT NULL,
    acopio_at      timestamptz NOT NULL,
    acta_hint      text NOT NULL,       -- what the sender said it is, as QR text; '' if it did not say
    received_at    timestamptz NOT NULL,
    UNIQUE (device, sequence)
);
CREATE INDEX arrival_image ON arrival (image);

-- What the decoder cascade read, once for each image.
CREATE TABLE reading (
    image   bytea PRIMARY KEY REFERENCES image,
    text    text,                       -- NULL: no QR could be read
    decoder text,
    width   integer NOT NULL,
    height  integer NOT NULL,
    phash   bit(1024) NOT NULL,
    web     bytea NOT NULL,             -- digests of the derivatives
    thumb   bytea NOT NULL,
    read_at timestamptz NOT NULL
);

-- Who said which acta an image is: its QR, its sender, or a person who looked at it.
CREATE TABLE identification (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image     bytea NOT NULL REFERENCES image,
    source    text NOT NULL CHECK (source IN ('qr', 'device', 'person')),
    person    integer,
    site      smallint,
    lease     uuid UNIQUE,
    identity  text NOT NULL,            -- QR text; '' if the person says it cannot be identified
    proceso_tecnico boolean NOT NULL DEFAULT false,
    said_at   timestamptz NOT NULL,
    CHECK ((source = 'person') = (person IS NOT NULL)),
    UNIQUE NULLS NOT DISTINCT (image, source, person)
);
CREATE INDEX identification_by_people ON identification (image) WHERE source = 'person';

-- What one person typed, once in a round, for ever.
CREATE TABLE entry (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acta         bigint NOT NULL REFERENCES acta,
    ronda        smallint NOT NULL CHECK (ronda > 0),
    ordinal      smallint NOT NULL CHECK (ordinal BETWEEN 1 AND 3),
    image        bytea NOT NULL REFERENCES image,
    person       integer NOT NULL,
    site         smallint NOT NULL,
    lease        uuid NOT NULL UNIQUE,
    leased_at    timestamptz NOT NULL,
    typed_at     timestamptz NOT NULL,
    numbers      integer[] NOT NULL CHECK (0 <= ALL (numbers)),
    marks        text NOT NULL CHECK (marks ~ '^[NISX]+$' AND length(marks) = cardinality(numbers)),
    UNIQUE (acta, ronda, ordinal),
    UNIQUE (acta, ronda, person)        -- nobody captures an acta twice, in any role
);

-- A person chose one of three captures.
CREATE TABLE resolution (
    acta        bigint NOT NULL REFERENCES acta,
    ronda       smallint NOT NULL,
    entry       bigint NOT NULL REFERENCES entry,
    person      integer NOT NULL,
    lease       uuid NOT NULL UNIQUE,
    resolved_at timestamptz NOT NULL,
    PRIMARY KEY (acta, ronda)
);

-- What counts for an acta. Append-only; acta_current says which one is current.
CREATE TABLE acta_version (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acta            bigint NOT NULL REFERENCES acta,
    ronda           smallint NOT NULL,
    reason          text NOT NULL CHECK (reason IN ('captura', 'recaptura', 'sin_acta', 'cotejo')),
    person          integer,            -- who registered sin acta or cotejo; captures name theirs in entry
    image           bytea REFERENCES image,
    numbers         integer[] NOT NULL CHECK (0 <= ALL (numbers)),
    marks           text NOT NULL CHECK (marks ~ '^[NISX]*$' AND length(marks) = cardinality(numbers)),
    calculado       integer NOT NULL CHECK (calculado >= 0),
    observations    text[] NOT NULL,
    inconsistent    boolean NOT NULL,
    contabilizada   smallint NOT NULL CHECK (contabilizada IN (0, 1)),
    cotejada        smallint NOT NULL CHECK (cotejada BETWEEN 0 AND 3),
    tipo_documento  text NOT NULL,
    origen          text NOT NULL,
    digitalizacion  text NOT NULL,
    traslado        text NOT NULL,
    acopio_at       timestamptz,
    captura_at      timestamptz,
    verificacion_at timestamptz,
    quantities      text NOT NULL,      -- its cells of the official file, BOLETAS_SOBRANTES to CALCULADO, as CSV
    tail            text NOT NULL,      -- its cells from OBSERVACIONES to COTEJADA, as CSV
    CHECK ((image IS NULL) = (cardinality(numbers) = 0))   -- sin acta
);
CREATE INDEX acta_version_acta ON acta_version (acta);

-- An image that belongs to no approved casilla: kept, and published apart.
CREATE TABLE fuera_catalogo (
    image          bytea PRIMARY KEY REFERENCES image,
    identity       text NOT NULL,
    election       smallint REFERENCES election,   -- NULL if not even the election can be told
    origen         text NOT NULL,
    digitalizacion text NOT NULL,
    found_at       timestamptz NOT NULL
);

CREATE TABLE corte (
    number    integer PRIMARY KEY CHECK (number >= 0),
    at        timestamptz NOT NULL,
    phase     text NOT NULL CHECK (phase IN ('cero', 'en curso', 'final')),
    previous  integer UNIQUE REFERENCES corte,     -- the corte before: the chain cannot fork
    sums      text NOT NULL CHECK (sums ~ '^[0-9a-f]{64}$'),   -- SHA-256 of its SHA256SUMS
    counts    jsonb NOT NULL,           -- the thirteen values of each election
    CHECK ((number = 0) = (previous IS NULL) AND (previous IS NULL OR previous = number - 1))
);

-- Which corte brought an acta version out first.
CREATE TABLE publication (
    version bigint PRIMARY KEY REFERENCES acta_version,
    corte   integer NOT NULL REFERENCES corte DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX publication_corte ON publication (corte);

-- Everything else worth remembering: gaps, gate failures, suspicious pairs of images, parked messages.
CREATE TABLE event (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    text NOT NULL,
    subject text NOT NULL,
    detail  jsonb NOT NULL,
    at      timestamptz NOT NULL
);
