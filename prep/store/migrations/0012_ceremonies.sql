-- The acts before the first corte and after the last, in front of people: each becomes a leaf of the log.
CREATE TABLE ceremony (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    text NOT NULL CHECK (kind IN ('software', 'cero', 'acto')),
    momento text NOT NULL CHECK (momento IN ('inicio', 'cierre')),
    content text NOT NULL,              -- the document; the leaf holds its digest
    at      timestamptz NOT NULL
);
CREATE UNIQUE INDEX ceremony_once ON ceremony (kind, momento) WHERE kind <> 'software';
GRANT SELECT, INSERT ON ceremony TO prep_app;
