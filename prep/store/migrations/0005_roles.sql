-- The application's role: it adds facts and moves pointers; it cannot rewrite or remove a fact.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prep_app') THEN
        CREATE ROLE prep_app LOGIN;   -- no password here: the installation gives it one, or a certificate
    END IF;
END $$;

GRANT USAGE ON SCHEMA public TO prep_app;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO prep_app;
GRANT INSERT ON image, arrival, reading, identification, entry, resolution, acta_version, fuera_catalogo, corte,
    publication, event TO prep_app;
GRANT INSERT, UPDATE, DELETE ON session, task, bus_cursor, outbox, attempt TO prep_app;
GRANT INSERT, UPDATE ON acta_current, image_current, parked TO prep_app;
GRANT INSERT, DELETE ON bus_message TO prep_app;   -- what every group has acknowledged is swept away
GRANT INSERT, DELETE ON done TO prep_app;           -- a retry of a parked message takes its mark away
