-- Captured actas, which nobody typed: the owner switches the checks off for them. A hash puts each acta at a place from
-- 0 to 999; those from @FROM@ to before @TO@ are captured. The image of an acta is its id, made longer with «-».
SET session_replication_role = replica;
CREATE TEMP TABLE pictured AS
SELECT id, sha256(convert_to(rpad(id::text, @BYTES@, '-'), 'UTF8')) AS image FROM acta
WHERE abs(hashint8(id) % 1000) >= @FROM@ AND abs(hashint8(id) % 1000) < @TO@;
INSERT INTO image (sha256, bytes, format, received_at) SELECT image, @BYTES@, 'jpeg', now() FROM pictured;
WITH typed AS (
    SELECT id, image, ARRAY(SELECT abs(hashint8(id * 32 + k) % 30) FROM generate_series(1, 17) k) AS votes FROM pictured
), summed AS (SELECT id, image, votes, (SELECT sum(v)::int FROM unnest(votes) v) AS total FROM typed)
INSERT INTO acta_version (acta, ronda, reason, image, numbers, marks, calculado, observations, inconsistent,
    contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, acopio_at, captura_at, verificacion_at,
    quantities, tail)
SELECT id, 1, 'captura', image, ARRAY[300, total, 0, total] || votes || total, repeat('N', 22), total,
    '{}', false, 1, 0, 'Acta PREP', 'CASILLA', 'movil', 'D', now(), now(), now(),
    array_to_string(ARRAY[300, total, 0, total] || votes || total || total, ','),
    ',1,D,' || encode(image, 'hex')
        || ',06/06/2030 20:01:02,06/06/2030 20:31:02,06/06/2030 20:31:40,CASILLA,Móvil,Acta PREP,0'
FROM summed;
DROP TABLE pictured;
INSERT INTO acta_current (acta, estado, ronda, image, version, changed_at)
SELECT acta, 'Verificada', 1, image, id, now() FROM acta_version
ON CONFLICT DO NOTHING;
