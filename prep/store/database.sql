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
SELECT format('GRANT prep_app TO %I', $1::text)

-- name: grant_connect
SELECT format('GRANT CONNECT ON DATABASE %I TO prep_app', current_database())

-- name: rights
SELECT pg_has_role($1::text, 'prep_app', 'USAGE') AS member,
    has_database_privilege($1::text, current_database(), 'CONNECT') AS connects,
    (SELECT bool_or(has_table_privilege($1::text, fact, 'UPDATE, DELETE, TRUNCATE'))
        FROM unnest('{image, arrival, reading, identification, entry, resolution, acta_version, fuera_catalogo, corte,
            publication, publication_image, event, log_start, log_key, log_leaf}'::text[]) AS f (fact)) AS rewrites
