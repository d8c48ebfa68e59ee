-- How people type, added up by person and hour. Nothing here tells a value, or an acta.

-- One row for each person, hour from that person's first capture, and kind of capture: of the first two of a round, the
-- third, or a hidden known acta. A capture is judged if values count that are from the same image, and no round is open.
-- Nearly all captures are equal to what counts, and their fields are not looked at.
-- name: work
WITH captures AS (
    SELECT e.person, e.acta, e.image, e.leased_at, e.typed_at, e.numbers, e.marks, n.keys,
        CASE WHEN e.ordinal < 3 THEN 'blind' ELSE 'third' END AS kind
    FROM entry e LEFT JOIN capture_note n ON n.entry = e.id
    UNION ALL
    SELECT person, acta, image, leased_at, typed_at, numbers, marks, keys, 'control' FROM control_capture
), judged AS (
    SELECT k.person, k.kind, k.keys,
        floor(extract(epoch FROM k.typed_at - min(k.typed_at) OVER (PARTITION BY k.person)) / 3600)::int AS hour,
        -- Two machines may have handed out the task and taken the answer: their clocks differ a little.
        greatest(0, round(extract(epoch FROM k.typed_at - k.leased_at)))::int AS seconds,
        CASE WHEN v.id IS NOT NULL THEN length(replace(k.marks, 'X', '')) END AS fields,
        CASE WHEN v.id IS NULL THEN NULL WHEN (k.numbers, k.marks) = (v.numbers, v.marks) THEN 0 ELSE (
            SELECT count(*)::int
            FROM unnest(k.numbers, string_to_array(k.marks, NULL), v.numbers, string_to_array(v.marks, NULL)) AS f (n, m, vn, vm)
            WHERE (f.n, f.m) IS DISTINCT FROM (f.vn, f.vm)
        ) END AS wrong
    FROM captures k
    LEFT JOIN acta_current c ON c.acta = k.acta AND c.estado IN ('Verificada', 'Publicada', 'Cotejada')
    LEFT JOIN acta_version v ON v.id = c.version AND v.image = k.image
)
SELECT person, kind, hour, array_agg(seconds) AS seconds,
    coalesce(array_agg(keys) FILTER (WHERE keys IS NOT NULL), '{}') AS keys,
    count(fields)::bigint AS captures, coalesce(sum(fields), 0)::bigint AS fields, coalesce(sum(wrong), 0)::bigint AS wrong,
    (count(*) FILTER (WHERE wrong > 0))::bigint AS captures_wrong,
    coalesce(sum(fields::bigint * fields), 0)::bigint AS fields_fields,
    coalesce(sum(wrong::bigint * wrong), 0)::bigint AS wrong_wrong,
    coalesce(sum(fields::bigint * wrong), 0)::bigint AS fields_wrong
FROM judged
GROUP BY person, kind, hour
ORDER BY person, kind, hour

-- The fields of a round that two people had wrong, and of these the ones that both had with the same value.
-- name: both_wrong
WITH wrong AS (
    SELECT e.acta, e.ronda, e.ordinal, e.numbers, e.marks, v.numbers AS right_numbers, v.marks AS right_marks
    FROM entry e
    JOIN acta_current c ON c.acta = e.acta AND c.estado IN ('Verificada', 'Publicada', 'Cotejada')
    JOIN acta_version v ON v.id = c.version AND v.image = e.image
    WHERE (e.numbers, e.marks) <> (v.numbers, v.marks)
)
SELECT count(*)::bigint AS fields, (count(*) FILTER (WHERE (f.an, f.am) IS NOT DISTINCT FROM (f.bn, f.bm)))::bigint AS alike
FROM wrong a
JOIN wrong b ON b.acta = a.acta AND b.ronda = a.ronda AND b.ordinal > a.ordinal
CROSS JOIN LATERAL unnest(a.numbers, string_to_array(a.marks, NULL), b.numbers, string_to_array(b.marks, NULL),
    a.right_numbers, string_to_array(a.right_marks, NULL)) AS f (an, am, bn, bm, rn, rm)
WHERE (f.an, f.am) IS DISTINCT FROM (f.rn, f.rm) AND (f.bn, f.bm) IS DISTINCT FROM (f.rn, f.rm)

-- name: people
SELECT p.id, p.login, p.role, s.code AS site FROM person p JOIN site s ON s.id = p.site ORDER BY s.code, p.login
