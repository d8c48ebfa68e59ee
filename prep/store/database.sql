-- The schema, and who may do what in a database that is not ours alone.

-- By way of JSON: a schema from before 0015 has no column `sha256`, and its migrations have no digest then.
-- name: migrations
SELECT name, decode(substr(to_jsonb(m) ->> 'sha256', 3), 'hex') AS sha256 FROM migration m

-- name: keep_digests
UPDATE migration m SET sha256 = f.sha256
FROM unnest($1::text[], $2::bytea[]) AS f (name, sha256)
WHERE m.name = f.name AND m.sha256 IS NULL

-- name: role
SELECT current_user = $1 AS owner, EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS there

-- A utility statement takes no parameters: these two only make its text.
-- name: create_role
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)

-- name: grant_role
SELECT format('GRANT %I TO %I', $2::text, $1::text)

-- name: grant_connect
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1::text)

-- $1 the role of an address, $2 the role of its part
-- name: rights
SELECT pg_has_role($1::text, $2::text, 'USAGE') AS member,
    has_database_privilege($1::text, current_database(), 'CONNECT') AS connects,
    (SELECT bool_or(has_table_privilege($1::text, fact, 'UPDATE, DELETE, TRUNCATE'))
        FROM unnest('{image, arrival, reading, identification, entry, resolution, acta_version, fuera_catalogo, corte,
            publication, publication_image, event, log_start, log_key, log_leaf}'::text[]) AS f (fact)) AS rewrites

-- name: keep_other_site
UPDATE capture_rule SET other_site = $1 WHERE other_site <> $1

-- name: has_whole_rights
SELECT has_table_privilege('prep_app', 'entry', 'INSERT')

-- What prep_app may do, as statements: with $1, the rights of all parts together; without, none.
-- name: whole_rights
SELECT format('REVOKE ALL ON ALL %s IN SCHEMA public FROM prep_app', things) AS statement
FROM unnest('{TABLES, FUNCTIONS}'::text[]) AS t (things) WHERE NOT $1
UNION ALL
SELECT format('GRANT %s ON %s TO prep_app', string_agg(DISTINCT a.privilege_type, ', '), c.oid::regclass)
FROM pg_class c, aclexplode(c.relacl) a
WHERE $1 AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.grantee = ANY (
    '{prep_capture, prep_worker, prep_publisher, prep_sequencer}'::regrole[])
GROUP BY c.oid
UNION ALL
SELECT format('GRANT %s (%I) ON %s TO prep_app', a.privilege_type, t.attname, t.attrelid::regclass)
FROM pg_attribute t, aclexplode(t.attacl) a
WHERE $1 AND t.attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) AND a.grantee = ANY (
    '{prep_capture, prep_worker, prep_publisher, prep_sequencer}'::regrole[])
UNION ALL
SELECT DISTINCT format('GRANT EXECUTE ON FUNCTION %s TO prep_app', p.oid::regprocedure)
FROM pg_proc p, aclexplode(p.proacl) a
WHERE $1 AND p.pronamespace = 'public'::regnamespace AND a.grantee = ANY (
    '{prep_capture, prep_worker, prep_publisher, prep_sequencer}'::regrole[])
