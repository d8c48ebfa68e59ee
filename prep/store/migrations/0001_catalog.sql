-- The actas that a night expects. Loaded whole or not at all, by the owner; the application reads it.

CREATE TABLE catalog (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),   -- one night, one catalogue
    digest     text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    loaded_at  timestamptz NOT NULL
);

CREATE TABLE election (
    id          smallint PRIMARY KEY,
    code        text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9_]{1,20}$'),
    title       text NOT NULL,
    year        smallint NOT NULL,
    ambito      text NOT NULL CHECK (ambito IN ('federal', 'local')),
    nivel       text NOT NULL CHECK (nivel IN ('pais', 'entidad', 'distrito', 'municipio')),
    rules       text NOT NULL,
    candidatura text NOT NULL
);

CREATE TABLE ballot_option (
    election  smallint NOT NULL REFERENCES election,
    position  smallint NOT NULL CHECK (position >= 0),
    code      text NOT NULL,
    clase     text NOT NULL CHECK (clase IN ('partido', 'coalicion', 'comun', 'independiente', 'no_registradas', 'nulos')),
    parties   smallint[] NOT NULL,
    name      text NOT NULL,
    PRIMARY KEY (election, position),
    UNIQUE (election, code)
);

CREATE TABLE territory (
    kind    text NOT NULL CHECK (kind IN ('entidad', 'distrito_federal', 'distrito_local', 'municipio')),
    entidad smallint NOT NULL,
    id      smallint NOT NULL,
    name    text NOT NULL,
    PRIMARY KEY (kind, entidad, id)
);

CREATE TABLE contest (
    id        integer PRIMARY KEY,
    election  smallint NOT NULL REFERENCES election,
    entidad   smallint NOT NULL,
    territory smallint NOT NULL,
    name      text NOT NULL,
    ballot    smallint[] NOT NULL,
    UNIQUE (election, entidad, territory)
);

CREATE TABLE candidacy (
    id          integer PRIMARY KEY,   -- names repeat; this does not
    contest     integer NOT NULL REFERENCES contest,
    options     smallint[] NOT NULL,
    propietario text NOT NULL,
    suplente    text NOT NULL
);

CREATE TABLE casilla (
    id               integer PRIMARY KEY,
    entidad          smallint NOT NULL,
    distrito_federal smallint NOT NULL,
    distrito_local   smallint NOT NULL,
    municipio        smallint NOT NULL,
    seccion          smallint NOT NULL,
    tipo             "char" NOT NULL,
    numero           smallint NOT NULL,
    ext_contigua     smallint NOT NULL,
    ubicacion        smallint NOT NULL CHECK (ubicacion IN (1, 2)),
    UNIQUE (entidad, distrito_federal, distrito_local, municipio, seccion, tipo, numero, ext_contigua)
);

CREATE TABLE acta (
    id              bigint PRIMARY KEY,
    election        smallint NOT NULL REFERENCES election,
    contest         integer NOT NULL REFERENCES contest,
    casilla         integer NOT NULL REFERENCES casilla,
    clave           text NOT NULL,
    tipo_acta       text NOT NULL,
    qr              text NOT NULL,
    lista_nominal   integer NOT NULL CHECK (lista_nominal >= 0),
    representantes  smallint NOT NULL CHECK (representantes >= 0),
    boletas_maximas integer CHECK (boletas_maximas >= 0),
    digitos         smallint NOT NULL CHECK (digitos BETWEEN 1 AND 7),
    orden           integer NOT NULL   -- its row in the official file of its election
);
CREATE UNIQUE INDEX acta_qr ON acta (qr);   -- its natural key: how an image is tied to its acta
CREATE UNIQUE INDEX acta_orden ON acta (election, orden);
CREATE UNIQUE INDEX acta_clave ON acta (election, clave);
