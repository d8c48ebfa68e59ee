-- The map of a kind of territory, if the catalogue brings one: drawn once, at the load (prep/domain/territory_map.py).
CREATE TABLE territory_map (
    kind    text PRIMARY KEY,
    drawing jsonb NOT NULL
);
GRANT SELECT ON territory_map TO prep_app, prep_capture, prep_worker, prep_publisher, prep_sequencer, prep_audit;
