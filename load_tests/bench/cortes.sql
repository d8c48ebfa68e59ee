-- The catalogue of a night of any size, in the database only: @CASILLAS@ casillas, the first @ELECTIONS@ of three federal
-- elections. All places and people are invented.
INSERT INTO catalog (digest, loaded_at) VALUES (encode(sha256('bench'), 'hex'), now());
INSERT INTO election (id, code, title, year, ambito, nivel, rules, candidatura)
SELECT * FROM (VALUES
    (1, 'PRES_FED', 'Presidencia', 2030, 'federal', 'pais', 'ine-2023', '1'),
    (2, 'SEN_FED', 'Senadurías', 2030, 'federal', 'entidad', 'ine-2023', '3'),
    (3, 'DIP_FED', 'Diputaciones federales', 2030, 'federal', 'distrito', 'ine-2023', '2')) AS e
    (id, code, title, year, ambito, nivel, rules, candidatura)
WHERE e.id <= @ELECTIONS@;
INSERT INTO ballot_option (election, position, code, clase, parties, name)
SELECT e.id, o.position, o.code, o.clase, o.parties, '' FROM election e CROSS JOIN (VALUES
    (0, 'ABETO', 'partido', '{}'::smallint[]), (1, 'CEDRO', 'partido', '{}'), (2, 'ENCINO', 'partido', '{}'),
    (3, 'FRESNO', 'partido', '{}'), (4, 'NOGAL', 'partido', '{}'), (5, 'OLMO', 'partido', '{}'),
    (6, 'PINO', 'partido', '{}'), (7, 'ABETO-CEDRO-ENCINO', 'coalicion', '{0,1,2}'),
    (8, 'ABETO-CEDRO', 'coalicion', '{0,1}'), (9, 'ABETO-ENCINO', 'coalicion', '{0,2}'),
    (10, 'CEDRO-ENCINO', 'coalicion', '{1,2}'), (11, 'FRESNO-NOGAL-OLMO', 'coalicion', '{3,4,5}'),
    (12, 'FRESNO-NOGAL', 'coalicion', '{3,4}'), (13, 'FRESNO-OLMO', 'coalicion', '{3,5}'),
    (14, 'NOGAL-OLMO', 'coalicion', '{4,5}'), (15, 'NO_REGISTRADAS', 'no_registradas', '{}'),
    (16, 'NULOS', 'nulos', '{}')) AS o (position, code, clase, parties);
INSERT INTO territory (kind, entidad, id, name) SELECT 'entidad', n, n, 'ENTIDAD ' || n FROM generate_series(1, 32) n;
INSERT INTO territory (kind, entidad, id, name)
SELECT 'distrito_federal', e, d, 'Cabecera ' || e || ' ' || d FROM generate_series(1, 32) e, generate_series(1, 9) d;
INSERT INTO contest (id, election, entidad, territory, name, ballot)
SELECT row_number() OVER (), election, entidad, id, name, (SELECT array_agg(n) FROM generate_series(0, 16) n)
FROM (
    SELECT 1 AS election, 0 AS entidad, 0 AS id, 'México' AS name
    UNION ALL SELECT 2, entidad, 0, name FROM territory WHERE kind = 'entidad'
    UNION ALL SELECT 3, entidad, id, name FROM territory WHERE kind = 'distrito_federal'
) AS c WHERE election <= @ELECTIONS@ ORDER BY election, entidad, id;
INSERT INTO candidacy (id, contest, options, propietario, suplente)
SELECT row_number() OVER (ORDER BY c.id, g.n), c.id, g.options, 'Candidatura ' || g.n, 'Suplencia ' || g.n
FROM contest c CROSS JOIN (VALUES (1, '{0,1,2,7,8,9,10}'::smallint[]), (2, '{3,4,5,11,12,13,14}'), (3, '{6}')) AS g
    (n, options);
INSERT INTO casilla (id, entidad, distrito_federal, distrito_local, municipio, seccion, tipo, numero, ext_contigua,
    ubicacion)
SELECT n + 1, n % 32 + 1, n / 32 % 9 + 1, 1, 1, n / 96 + 1,
    CASE WHEN n / 32 % 3 > 0 THEN 'C' WHEN n % 97 = 0 THEN 'S' ELSE 'B' END::"char", n / 32 % 3 + 1, 0, n % 2 + 1
FROM generate_series(0, @CASILLAS@ - 1) n;
INSERT INTO acta (id, election, contest, casilla, clave, tipo_acta, qr, lista_nominal, representantes, boletas_maximas,
    digitos, orden)
SELECT (e.id - 1) * 1000000 + c.id, e.id, k.id, c.id, lpad(c.entidad::text, 2, '0') || lpad(c.seccion::text, 4, '0')
    || c.tipo::text || lpad(c.numero::text, 2, '0') || '00' || e.candidatura, e.candidatura, e.id || '|' || c.id,
    CASE WHEN c.tipo = 'S' THEN 0 ELSE 640 + c.id % 100 END, c.id % 20, CASE WHEN c.tipo = 'S' THEN 1000 END, 3,
    row_number() OVER (PARTITION BY e.id ORDER BY c.entidad, c.distrito_federal, c.seccion, c.tipo, c.numero) - 1
FROM election e CROSS JOIN casilla c JOIN contest k ON k.election = e.id
    AND k.entidad = CASE WHEN e.id = 1 THEN 0 ELSE c.entidad END
    AND k.territory = CASE WHEN e.id = 3 THEN c.distrito_federal ELSE 0 END;
