-- What a ceremony looks at, and its record.

-- name: add
INSERT INTO ceremony (kind, momento, content, at) VALUES ($1, $2, $3, $4)

-- name: find
SELECT content FROM ceremony WHERE kind = $1 AND momento = $2 ORDER BY id DESC LIMIT 1

-- name: tables
SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY c.relname

-- name: migrations
SELECT name FROM migration ORDER BY name

-- name: clock
SELECT clock_timestamp() AS at

-- name: server
SELECT current_setting('server_version')

-- Columns, constraints, indexes, triggers, functions and rights, one line each: two databases that give the same lines
-- hold the same rules.
-- name: schema
SELECT line FROM (
    SELECT 'columna ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' no nula' ELSE '' END || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '')
        || a.attidentity::text || a.attgenerated::text AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'restricción ' || c.conrelid::regclass || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c
    WHERE c.connamespace = 'public'::regnamespace AND c.conrelid <> 0
    UNION ALL
    SELECT 'índice ' || i.indexdef FROM pg_indexes i WHERE i.schemaname = 'public'
    UNION ALL
    SELECT 'disparador ' || pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'función ' || pg_get_functiondef(p.oid) FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
    UNION ALL
    SELECT 'permiso ' || g.object || ' ' || g.grantee::regrole || ' ' || g.privilege_type
    FROM (
        SELECT c.oid::regclass::text AS object, (aclexplode(c.relacl)).* FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        UNION ALL
        SELECT t.attrelid::regclass || '.' || t.attname, (aclexplode(t.attacl)).* FROM pg_attribute t
        JOIN pg_class c ON c.oid = t.attrelid AND c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT p.oid::regprocedure::text, (aclexplode(p.proacl)).* FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace
    ) AS g
    WHERE g.grantee <> g.grantor
) AS lines
ORDER BY line COLLATE "C"
