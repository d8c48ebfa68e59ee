-- The lists of clean data that each manifest names, so that its very bytes can be made again without them.
CREATE TABLE publication_data (
    data_of integer PRIMARY KEY REFERENCES corte DEFERRABLE INITIALLY DEFERRED,
    sums    text NOT NULL CHECK (sums ~ '^[0-9a-f]{64}$'),
    corte   integer NOT NULL REFERENCES corte DEFERRABLE INITIALLY DEFERRED CHECK (corte > data_of)
);
CREATE INDEX publication_data_corte ON publication_data (corte);

GRANT SELECT, INSERT ON publication_data TO prep_app, prep_publisher;
GRANT SELECT ON publication_data TO prep_audit;
