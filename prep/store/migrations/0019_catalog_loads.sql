-- What a catalogue may also state: the place of a casilla, and how a party shows itself. Blank if it states none.

ALTER TABLE casilla ADD COLUMN lugar text NOT NULL DEFAULT '', ADD COLUMN direccion text NOT NULL DEFAULT '';
ALTER TABLE ballot_option ADD COLUMN colour text NOT NULL DEFAULT '', ADD COLUMN emblem text NOT NULL DEFAULT '';

-- Each load of a catalogue: the warnings that a person accepted, and the two people who replaced an earlier catalogue.
-- It is no event: an event is a fact of the night and begins the log, and before that the catalogue may still change.
CREATE TABLE catalog_load (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    replaced    text CHECK (replaced ~ '^[0-9a-f]{64}$'),   -- digest of the catalogue that it replaced
    warnings    text[] NOT NULL,                            -- each as it was shown, with its code, file and line
    by_person   integer REFERENCES person,
    with_person integer REFERENCES person,
    at          timestamptz NOT NULL,
    CHECK (by_person <> with_person),
    CHECK ((replaced IS NULL) = (by_person IS NULL) AND (replaced IS NULL) = (with_person IS NULL))
);
GRANT SELECT ON catalog_load TO prep_app;
