-- The layout of a contest's printed form, if the catalogue brings one (prep/domain/layout.py), and the marks that were
-- found in an image. From both follow the strips of its fields; the strips are not kept.
CREATE TABLE form_layout (
    contest integer PRIMARY KEY REFERENCES contest,
    layout  jsonb NOT NULL
);
GRANT SELECT ON form_layout TO prep_app, prep_capture, prep_worker, prep_publisher, prep_sequencer, prep_audit;

-- NULL: nobody looked for them, or they were not sure.
ALTER TABLE reading ADD COLUMN marks jsonb;
