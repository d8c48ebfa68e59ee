-- Actas captured: those whose share of a thousand lies in [@FROM@, @TO@). Each has an image of a few bytes: its own id.
INSERT INTO image (sha256, bytes, format, received_at)
SELECT sha256(id::text::bytea), 1, 'jpeg', now() FROM acta
WHERE abs(hashint8(id) % 1000) >= @FROM@ AND abs(hashint8(id) % 1000) < @TO@;
WITH typed AS (
    SELECT id, ARRAY(SELECT abs(hashint8(id * 32 + k) % 30) FROM generate_series(1, 17) k) AS votes FROM acta
    WHERE abs(hashint8(id) % 1000) >= @FROM@ AND abs(hashint8(id) % 1000) < @TO@
), summed AS (SELECT id, votes, (SELECT sum(v)::int FROM unnest(votes) v) AS total FROM typed)
INSERT INTO acta_version (acta, ronda, reason, image, numbers, marks, calculado, observations, inconsistent,
    contabilizada, cotejada, tipo_documento, origen, digitalizacion, traslado, acopio_at, captura_at, verificacion_at,
    quantities, tail)
SELECT id, 1, 'captura', sha256(id::text::bytea), ARRAY[300, total, 0, total] || votes || total, repeat('N', 22), total,
    '{}', false, 1, 0, 'Acta PREP', 'CASILLA', 'movil', 'D', now(), now(), now(),
    array_to_string(ARRAY[300, total, 0, total] || votes || total || total, ','),
    ',1,D,' || encode(sha256(id::text::bytea), 'hex')
        || ',06/06/2030 20:01:02,06/06/2030 20:31:02,06/06/2030 20:31:40,CASILLA,Móvil,Acta PREP,0'
FROM summed;
INSERT INTO acta_current (acta, estado, changed_at) SELECT acta, 'Esperada', now() FROM acta_version
ON CONFLICT DO NOTHING;
UPDATE acta_current c SET estado = 'Verificada', version = v.id, image = v.image, ronda = 1
FROM acta_version v WHERE v.acta = c.acta AND c.version IS NULL;
