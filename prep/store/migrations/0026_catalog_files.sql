-- The catalogue as the published tree brings it: written by its load, and never read back as values. A catalogue that an
-- older release loaded has none; before the log begins, two people replace it.
CREATE TABLE catalog_file (
    name    text PRIMARY KEY CHECK (name ~ '^[^./\\][^/\\]{0,250}$'),
    content bytea NOT NULL
);
GRANT SELECT ON catalog_file TO prep_app, prep_publisher, prep_audit;
