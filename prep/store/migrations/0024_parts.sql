-- PostgreSQL derives what counts, knows its people, and gives each part a role of its own.
--
-- 1. A version of an acta comes from its captures, or from the person who registered it; Postgres derives it again.
-- 2. A person or a site in a fact exists, has the role for it, and is logged in.
-- 3. Each part has a role with the rights that its work needs. `prep_app` has the rights of all of them, for an
--    installation that gives all parts one address; `prep migrate` takes them away once each part has its own.
--
-- Triggers that check run with the rights of the owner and with a fixed search path: no role of a part can change them,
-- switch them off, or put a table of its own in front of ours. The functions that they call have no path of their own: it
-- costs time at each call, and no part may call them.

-- Functions from before, which roles of parts may call or whose triggers run with their rights.
DO $$
DECLARE
    loose regprocedure;
BEGIN
    FOR loose IN SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proconfig IS NULL LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = public, pg_temp', loose);
    END LOOP;
END $$;

-- The roles. No password here: the installation gives each one its own, or a certificate.
DO $$
DECLARE
    part text;
BEGIN
    FOREACH part IN ARRAY '{prep_capture, prep_worker, prep_publisher, prep_sequencer, prep_audit}'::text[] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = part) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', part);
        END IF;
    END LOOP;
END $$;

-- Passwords: how a key is derived from a password, and the digest of that key. A part that derives the key proves with
-- it that a person gave the password; these columns alone prove nothing.
ALTER TABLE person ADD COLUMN password_form text, ADD COLUMN key_sha256 bytea CHECK (length(key_sha256) = 32);
-- The key stands behind the last $, in base64, of which Argon2's form leaves out the = at the end.
UPDATE person SET password_form = substring(password FROM '^(.*)\$[^$]*$'),
    key_sha256 = sha256(decode(rpad(k.key, (length(k.key) + 3) / 4 * 4, '='), 'base64'))
FROM (SELECT id, substring(password FROM '[^$]*$') AS key FROM person) AS k
WHERE k.id = person.id;
DROP FUNCTION rewrite_password;
ALTER TABLE person DROP COLUMN password, ALTER COLUMN password_form SET NOT NULL, ALTER COLUMN key_sha256 SET NOT NULL;
CREATE INDEX session_person ON session (person);

-- A session for the person whose key this is; no row if it is not theirs. The one way in which a part adds a session.
CREATE FUNCTION open_session(who integer, key bytea, token_sha256 bytea, expires timestamptz) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        INSERT INTO session (token_sha256, person, expires_at)
        SELECT open_session.token_sha256, p.id, expires FROM person p
        WHERE p.id = who AND p.active AND p.key_sha256 = sha256(key)
        RETURNING true;
    END;

-- Whether this key is that person's: for a command in which two people say their passwords, without a session.
CREATE FUNCTION key_is_theirs(who integer, key bytea) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        SELECT p.key_sha256 = sha256(key) FROM person p WHERE p.id = who AND p.active;
    END;

-- A password in an old form is kept in the form of today, at a login of its person, who alone knows it.
CREATE FUNCTION rewrite_password(who integer, key bytea, form text, new_key_sha256 bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    BEGIN ATOMIC
        UPDATE person SET password_form = form, key_sha256 = new_key_sha256
        WHERE id = who AND key_sha256 = sha256(key) AND password_form LIKE 'scrypt$%' AND form LIKE '$argon2id$v=19$%';
    END;

-- People are foreign keys. Facts from before stay as they are, also if their person is unknown.
ALTER TABLE event ADD COLUMN person integer GENERATED ALWAYS AS ((detail ->> 'persona')::integer) STORED;
ALTER TABLE entry
    ADD CONSTRAINT entry_person FOREIGN KEY (person) REFERENCES person NOT VALID,
    ADD CONSTRAINT entry_site FOREIGN KEY (site) REFERENCES site NOT VALID;
ALTER TABLE resolution ADD CONSTRAINT resolution_person FOREIGN KEY (person) REFERENCES person NOT VALID;
ALTER TABLE identification
    ADD CONSTRAINT identification_person FOREIGN KEY (person) REFERENCES person NOT VALID,
    ADD CONSTRAINT identification_site FOREIGN KEY (site) REFERENCES site NOT VALID;
ALTER TABLE acta_version ADD CONSTRAINT acta_version_person FOREIGN KEY (person) REFERENCES person NOT VALID;
ALTER TABLE event ADD CONSTRAINT event_person FOREIGN KEY (person) REFERENCES person NOT VALID;
ALTER TABLE task
    ADD CONSTRAINT task_lease_person FOREIGN KEY (lease_person) REFERENCES person NOT VALID,
    ADD CONSTRAINT task_not_site FOREIGN KEY (not_site) REFERENCES site NOT VALID;
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', each.of, each.conname);
        EXCEPTION WHEN foreign_key_violation THEN
            RAISE WARNING '%: facts from before this migration name a person or a site that is unknown', each.of;
        END;
    END LOOP;
END $$;

-- How long a second capture waits for another site. `prep migrate` writes the setting PREP_OTHER_SITE_MINUTES here.
CREATE TABLE capture_rule (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    other_site interval NOT NULL CHECK (other_site >= '0')
);
INSERT INTO capture_rule (other_site) VALUES ('30 minutes');

-- What a person does: the person is active, has one of these roles, and has a session that was open at that moment.
CREATE FUNCTION must_be_acting(who integer, roles text[], at timestamptz) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM person WHERE id = who AND active AND role = ANY (roles)) THEN
        RAISE EXCEPTION 'person % is not active, or has none of the roles %', who, roles USING ERRCODE = 'PR010';
    END IF;
    IF NOT EXISTS (SELECT FROM session WHERE person = who AND expires_at > at) THEN
        RAISE EXCEPTION 'person % is not logged in', who USING ERRCODE = 'PR010';
    END IF;
END $$;

-- A capture is of the round and the image that are open, by a person at their own site. The second one is at another
-- site than the first if people capture at two or more, until it has waited for one long enough. There is a third only if
-- the first two differ.
CREATE FUNCTION entry_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    before entry[];
BEGIN
    PERFORM must_be_acting(NEW.person, '{capturista, verificador, supervisor, administrador}', NEW.typed_at);
    IF NOT EXISTS (SELECT FROM person WHERE id = NEW.person AND site = NEW.site) THEN
        RAISE EXCEPTION 'acta %: person % is not of site %', NEW.acta, NEW.person, NEW.site USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM acta_current WHERE acta = NEW.acta AND ronda = NEW.ronda AND image = NEW.image
            AND estado IN ('Digitalizada', 'Capturada')) THEN
        RAISE EXCEPTION 'acta %: no capture of that image is open in round %', NEW.acta, NEW.ronda
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT array_agg(e ORDER BY e.ordinal) INTO before FROM entry e WHERE e.acta = NEW.acta AND e.ronda = NEW.ronda;
    IF NEW.ordinal > 1 AND NEW.ordinal - 1 <> coalesce(cardinality(before), 0) THEN
        RAISE EXCEPTION 'acta %: a capture is missing before number %', NEW.acta, NEW.ordinal USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ordinal = 2 AND (before[1]).site = NEW.site AND (before[1]).person <> NEW.person   -- the same person: a key
            AND (SELECT count(DISTINCT site) > 1 FROM person WHERE active AND role IN ('capturista', 'verificador'))
            -- A minute less: the clocks of the worker and of capture may differ.
            AND NEW.typed_at < (before[1]).typed_at + (SELECT other_site - interval '1 minute' FROM capture_rule) THEN
        RAISE EXCEPTION 'acta %: the second capture is from the same site as the first', NEW.acta
            USING ERRCODE = 'PR011';
    END IF;
    IF NEW.ordinal = 3 AND (before[1]).numbers = (before[2]).numbers AND (before[1]).marks = (before[2]).marks THEN
        RAISE EXCEPTION 'acta %: two captures agree, and there is no third', NEW.acta USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER entry_follows BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_follows();

-- A choice is of one of the three captures of that round.
CREATE FUNCTION resolution_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM must_be_acting(NEW.person, '{capturista, verificador, supervisor, administrador}', NEW.resolved_at);
    IF NOT EXISTS (SELECT FROM entry WHERE id = NEW.entry AND acta = NEW.acta AND ronda = NEW.ronda)
            OR 3 <> (SELECT count(*) FROM entry WHERE acta = NEW.acta AND ronda = NEW.ronda) THEN
        RAISE EXCEPTION 'acta %: capture % is none of three in round %', NEW.acta, NEW.entry, NEW.ronda
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resolution_follows BEFORE INSERT ON resolution FOR EACH ROW EXECUTE FUNCTION resolution_follows();

-- A person who says which acta an image is.
CREATE FUNCTION identification_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM must_be_acting(NEW.person, '{digitalizador, capturista, supervisor}', NEW.said_at);
    IF NOT EXISTS (SELECT FROM person WHERE id = NEW.person AND site = NEW.site) THEN
        RAISE EXCEPTION 'person % is not of site %', NEW.person, NEW.site USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER identification_follows BEFORE INSERT ON identification
    FOR EACH ROW WHEN (NEW.source = 'person') EXECUTE FUNCTION identification_follows();

-- The cells of the official file, as prep/domain/row.py writes them.
-- An hour is told in the zone of the night, which has its summer time, so we look only that the text is that moment in
-- some zone: the gate and the verifiers compare its offset with the declared one.
CREATE FUNCTION is_moment(said text, at timestamptz) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    p text[] := regexp_match(said, '^(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d):(\d\d)$');
    apart double precision;
BEGIN
    IF at IS NULL OR p IS NULL THEN
        RETURN at IS NULL AND said = '-';
    END IF;
    apart := extract(epoch FROM make_timestamp(p[3]::int, p[2]::int, p[1]::int, p[4]::int, p[5]::int, p[6]::int)
        - date_trunc('second', at AT TIME ZONE 'UTC'));
    RETURN abs(apart) <= 14 * 3600 AND apart = 900 * round(apart / 900);
END $$;

CREATE FUNCTION official_quantities(v acta_version) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF v.reason = 'retiro' THEN    -- the row of an acta that is not captured
        RETURN rtrim(repeat('-,', 6 + (SELECT count(*)::int FROM ballot_option o JOIN acta a USING (election) WHERE a.id = v.acta)), ',');
    ELSIF v.reason = 'sin_acta' OR v.image IS NULL THEN
        RETURN repeat('Sin acta,', 4)
            || (SELECT string_agg(CASE WHEN o.position = ANY (k.ballot) THEN 'Sin acta' ELSE '-' END, ',' ORDER BY o.position)
                FROM acta a JOIN contest k ON k.id = a.contest JOIN ballot_option o ON o.election = a.election
                WHERE a.id = v.acta)
            || ',Sin acta,0';
    END IF;
    RETURN (SELECT string_agg(CASE mark WHEN 'N' THEN number::text WHEN 'I' THEN 'Ilegible' WHEN 'S' THEN 'Sin dato' ELSE '-' END,
            ',' ORDER BY n) FROM unnest(v.numbers, string_to_array(v.marks, NULL)) WITH ORDINALITY AS f (number, mark, n))
        || ',' || v.calculado;
END $$;

-- Everything of the tail behind the text of the observations; NULL if its hours are not those of the version.
CREATE FUNCTION official_tail(v acta_version) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    cells text[] := string_to_array(v.tail, ',');
    said text[] := cells[cardinality(cells) - 6 : cardinality(cells) - 4];     -- acopio, captura, verificación
BEGIN
    IF NOT coalesce(is_moment(said[1], v.acopio_at) AND is_moment(said[2], v.captura_at) AND is_moment(said[3], v.verificacion_at),
            false) THEN
        RETURN NULL;
    END IF;
    RETURN ',' || v.contabilizada || ',' || v.traslado || ',' || coalesce(encode(v.image, 'hex'), '-') || ','
        || array_to_string(said, ',') || ',' || v.origen || ','
        || CASE v.digitalizacion WHEN 'movil' THEN 'Móvil' WHEN 'escaner' THEN 'Escáner' WHEN 'urna' THEN 'Urna'
            ELSE v.digitalizacion END
        || ',' || v.tipo_documento || ',' || v.cotejada;
END $$;

-- Why a version does not follow from two equal captures, or from three and a choice by somebody else; NULL if it does.
CREATE FUNCTION not_of_captures(v acta_version, c acta_current, before acta_version) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    typed entry[];
    said entry;             -- the capture whose values count
    captura timestamptz;
    verificacion timestamptz;
    chosen resolution;
    came arrival;
BEGIN
    IF c.ronda IS DISTINCT FROM v.ronda OR c.estado IS DISTINCT FROM 'Capturada' THEN
        RETURN 'its round is not being compared';
    END IF;
    IF EXISTS (SELECT FROM acta_version w WHERE w.acta = v.acta AND w.ronda = v.ronda AND w.reason IN ('captura', 'recaptura')) THEN
        RETURN 'its round has a version already';
    END IF;
    SELECT array_agg(e ORDER BY e.ordinal) INTO typed FROM entry e WHERE e.acta = v.acta AND e.ronda = v.ronda;
    IF coalesce(cardinality(typed), 0) < 2 THEN
        RETURN 'two people have not typed it';
    END IF;
    -- The pairs in the order of prep/domain/entry.py: the times of the two are those of captura and verificación.
    FOR b IN 2 .. cardinality(typed) LOOP
        FOR a IN 1 .. b - 1 LOOP
            IF said.id IS NULL AND (typed[a]).numbers = (typed[b]).numbers AND (typed[a]).marks = (typed[b]).marks
                    AND (typed[a]).person <> (typed[b]).person THEN
                said := typed[a];
                captura := said.typed_at;
                verificacion := (typed[b]).typed_at;
            END IF;
        END LOOP;
    END LOOP;
    IF said.id IS NULL THEN
        SELECT * INTO chosen FROM resolution r WHERE r.acta = v.acta AND r.ronda = v.ronda;
        IF chosen.acta IS NULL OR cardinality(typed) < 3 THEN
            RETURN 'its captures differ, and no person has chosen';
        END IF;
        SELECT e.* INTO said FROM entry e WHERE e.id = chosen.entry AND e.acta = v.acta AND e.ronda = v.ronda;
        IF said.id IS NULL OR chosen.person IN ((typed[1]).person, (typed[2]).person, (typed[3]).person) THEN
            RETURN 'a person who typed it chose among its captures';
        END IF;
        captura := said.typed_at;
        verificacion := chosen.resolved_at;
    END IF;
    IF (v.numbers, v.marks) IS DISTINCT FROM (said.numbers, said.marks) THEN
        RETURN 'its numbers are not those that people typed';
    END IF;
    IF v.person IS NOT NULL OR v.reason <> (CASE WHEN c.version IS NULL THEN 'captura' ELSE 'recaptura' END)
            OR v.cotejada <> (CASE WHEN before.cotejada = 3 THEN 2 ELSE 0 END)
            -- In their order: the clocks of two machines may differ.
            OR (v.captura_at, v.verificacion_at)
                IS DISTINCT FROM (least(captura, verificacion), greatest(captura, verificacion)) THEN
        RETURN 'its person, its reason, its cotejo or its times are not those of its captures';
    END IF;
    IF v.image IS DISTINCT FROM said.image
            OR NOT EXISTS (SELECT FROM image_current i WHERE i.image = v.image AND i.acta = v.acta) THEN
        RETURN 'its image is not the one that people typed from';
    END IF;
    SELECT * INTO came FROM arrival a WHERE a.image = v.image ORDER BY a.received_at, a.id LIMIT 1;
    IF (v.tipo_documento, v.origen, v.digitalizacion, v.traslado, v.acopio_at)
            IS DISTINCT FROM (came.tipo_documento, came.origen, came.digitalizacion, came.traslado, came.acopio_at) THEN
        RETURN 'it does not say how its image came';
    END IF;
    RETURN not_by_the_rules(v);
END $$;

-- Why the sum, the observations or CONTABILIZADA of a captured acta cannot be, under any rule set; NULL if they can. Which
-- of the observations an election prints is in its rule set: the gate and the verifiers compare the printed cells with it.
CREATE FUNCTION not_by_the_rules(v acta_version) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    votes text := replace(substr(v.marks, 5, length(v.marks) - 5), 'X', '');   -- marks of the options on its ballot
    added bigint := (SELECT coalesce(sum(n), 0) FROM unnest(v.numbers[5 : cardinality(v.numbers) - 1]) AS n);
    most bigint := (SELECT (CASE WHEN a.lista_nominal > 0 THEN a.lista_nominal ELSE a.boletas_maximas END + a.representantes)
        * k.votes_per_ballot FROM acta a JOIN contest k ON k.id = a.contest WHERE a.id = v.acta);
    said text[] := v.observations;
    excede boolean := 'excede_lista_nominal' = ANY (said);
BEGIN
    IF v.calculado <> added THEN
        RETURN 'its sum is not that of its votes';
    END IF;
    IF NOT said <@ '{excede_lista_nominal, todos_ilegibles, todos_vacios, todos_sin_numero, ilegible, sin_dato,
                proceso_tecnico_operativo}'
            OR excede AND (most IS NULL OR added <= most)
            OR 'ilegible' = ANY (said) AND votes !~ 'I' OR 'sin_dato' = ANY (said) AND votes !~ 'S'
            OR 'todos_ilegibles' = ANY (said) AND votes !~ '^I+$' OR 'todos_vacios' = ANY (said) AND votes !~ '^S+$'
            OR 'todos_sin_numero' = ANY (said) AND votes !~ '^[IS]+$'
            OR NOT excede AND votes ~ 'N' AND (('ilegible' = ANY (said)) <> (votes ~ 'I') OR ('sin_dato' = ANY (said)) <> (votes ~ 'S'))
            OR ('proceso_tecnico_operativo' = ANY (said))
                <> EXISTS (SELECT FROM identification i WHERE i.image = v.image AND i.proceso_tecnico) THEN
        RETURN 'its observations are not true';
    END IF;
    IF v.inconsistent <> (said && '{excede_lista_nominal, todos_ilegibles, todos_vacios, todos_sin_numero, ilegible, sin_dato}')
            OR v.contabilizada <> (CASE WHEN excede THEN 0 WHEN votes ~ 'N' THEN 1
                WHEN votes ~ 'I' AND votes ~ 'S' THEN v.contabilizada ELSE 0 END) THEN
        RETURN 'whether it counts does not follow from its observations';
    END IF;
    RETURN NULL;
END $$;

-- Why a version is not that of an acta that two people registered as sin acta; NULL if it is. Another trigger sees that two
-- people decided it (0023_two_people.sql).
CREATE FUNCTION not_of_sin_acta(v acta_version, c acta_current) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF c.estado IS DISTINCT FROM 'Esperada' THEN
        RETURN 'an image of it has come, or it is registered already';
    END IF;
    IF v.image IS NOT NULL OR v.calculado <> 0 OR v.contabilizada <> 0 OR v.cotejada <> 0 OR v.inconsistent OR v.ronda <> 0
            OR cardinality(v.observations) <> 1 OR NOT v.observations <@ '{sin_acta_1, sin_acta_2, sin_acta_3, sin_acta_4}'
            OR (v.tipo_documento, v.origen, v.digitalizacion, v.traslado) <> ('-', '-', '-', '')
            OR coalesce(v.acopio_at, v.captura_at, v.verificacion_at) IS NOT NULL THEN
        RETURN 'an acta that does not come has no values';
    END IF;
    RETURN NULL;
END $$;

-- Why a version does not take back what counted, as two people decided; NULL if it does.
CREATE FUNCTION not_of_retiro(v acta_version, c acta_current) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF c.version IS NULL THEN
        RETURN 'nothing of it counts';
    END IF;
    IF v.person IS NOT NULL OR v.image IS NOT NULL OR v.calculado <> 0 OR v.contabilizada <> 0 OR v.cotejada <> 0
            OR v.inconsistent OR v.ronda <> 0 OR v.observations <> '{}' OR v.numbers <> '{}' OR v.marks <> ''
            OR (v.tipo_documento, v.origen, v.digitalizacion, v.traslado) <> ('-', '-', '-', '')
            OR coalesce(v.acopio_at, v.captura_at, v.verificacion_at) IS NOT NULL
            OR v.tail <> rtrim(repeat('-,', 11), ',') THEN
        RETURN 'an acta that is expected has no values';
    END IF;
    RETURN NULL;
END $$;

-- Why a version is not the published one after a person compared it with the paper; NULL if it is.
CREATE FUNCTION not_of_cotejo(v acta_version, c acta_current, before acta_version) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    same acta_version := before;
BEGIN
    PERFORM must_be_acting(v.person, '{cotejador}', '-infinity');
    IF c.estado IS DISTINCT FROM 'Publicada' OR before.id IS NULL THEN
        RETURN 'it is not published';
    END IF;
    -- Everything but these is as it was published.
    same.id := v.id; same.reason := v.reason; same.person := v.person; same.salt := v.salt; same.cotejada := v.cotejada; same.tail := v.tail;
    IF same IS DISTINCT FROM v OR v.cotejada NOT IN (1, 2, 3)
            OR left(v.tail, -length(official_tail(v))) <> left(before.tail, -length(official_tail(before))) THEN
        RETURN 'a cotejo changes no value';
    END IF;
    RETURN NULL;
END $$;

-- By the reason of a version, the record that it must follow from. A migration that adds a reason replaces this function.
CREATE FUNCTION not_following(v acta_version, c acta_current, before acta_version) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE v.reason
        WHEN 'captura' THEN not_of_captures(v, c, before)
        WHEN 'recaptura' THEN not_of_captures(v, c, before)
        WHEN 'sin_acta' THEN not_of_sin_acta(v, c)
        WHEN 'retiro' THEN not_of_retiro(v, c)
        WHEN 'cotejo' THEN not_of_cotejo(v, c, before)
        ELSE 'no record gives a version of that reason' END;
END $$;

CREATE FUNCTION acta_version_follows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c acta_current;
    before acta_version;
    why text;
    suffix text := official_tail(NEW);
    of_captures boolean := NEW.reason IN ('captura', 'recaptura');
BEGIN
    -- The worker compares captures; capture keeps what one person says. The owner, and prep_app, do all.
    IF NOT pg_has_role(session_user, (CASE WHEN of_captures THEN 'prep_worker' ELSE 'prep_capture' END), 'USAGE')
            AND NOT pg_has_role(session_user, 'prep_app', 'USAGE')
            AND NOT pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION 'role % adds no version by %', session_user, NEW.reason USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT * INTO c FROM acta_current WHERE acta = NEW.acta;
    SELECT * INTO before FROM acta_version WHERE id = c.version;
    why := not_following(NEW, c, before);
    -- The cells that are published: nothing in them that the columns do not say. The texts of the observations are the
    -- rule set's; they are one cell.
    IF why IS NULL AND (NEW.quantities <> official_quantities(NEW)
            OR NEW.reason <> 'retiro' AND (suffix IS NULL OR right(NEW.tail, length(suffix)) <> suffix
                OR left(NEW.tail, -length(suffix)) !~ '^([^",]*|"([^"]|"")*")$'
                OR NEW.observations = '{}' AND NEW.tail <> suffix)) THEN
        why := 'its cells do not say what its values are';
    END IF;
    IF why IS NOT NULL THEN
        RAISE EXCEPTION 'acta %: no such version: %', NEW.acta, why USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER acta_version_follows BEFORE INSERT ON acta_version FOR EACH ROW EXECUTE FUNCTION acta_version_follows();

-- Only the newest version of an acta becomes current, and rounds only go on.
CREATE OR REPLACE FUNCTION acta_current_moves() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.estado <> 'Esperada' OR NEW.version IS NOT NULL THEN
            RAISE EXCEPTION 'an acta begins as Esperada and without a version, not as %', NEW.estado
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.acta <> OLD.acta OR (NEW.estado <> OLD.estado
        AND NOT EXISTS (SELECT FROM acta_move WHERE from_estado = OLD.estado AND to_estado = NEW.estado)) THEN
        RAISE EXCEPTION 'acta %: no move from % to %', OLD.acta, OLD.estado, NEW.estado USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ronda < OLD.ronda THEN
        RAISE EXCEPTION 'acta %: round % is over', OLD.acta, NEW.ronda USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.version IS DISTINCT FROM OLD.version
            AND NEW.version IS DISTINCT FROM (SELECT max(id) FROM acta_version WHERE acta = OLD.acta) THEN
        RAISE EXCEPTION 'acta %: version % is not its newest', OLD.acta, NEW.version USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- Rights. Functions are for those who are named, also functions of later migrations.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO prep_capture, prep_worker, prep_publisher, prep_sequencer, prep_audit;

-- All parts read what the owner loads: the tables in which prep_app could never write. Of people, only some columns.
DO $$
DECLARE
    loaded text;
BEGIN
    FOR loaded IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT has_table_privilege('prep_app', c.oid, 'INSERT, UPDATE, DELETE') AND c.relname NOT IN ('person', 'device')
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO prep_capture, prep_worker, prep_publisher, prep_sequencer', loaded);
    END LOOP;
END $$;

GRANT SELECT ON device, image, image_current, image_oddity, reading, entry, identification, resolution, acta_current, acta_version,
    task, session, bus_message, bus_cursor, corte TO prep_capture;
GRANT SELECT (id, login, role, site, active, password_form) ON person TO prep_capture;
GRANT INSERT ON entry, identification, resolution, acta_version, acta_current, task, event, outbox, bus_message TO prep_capture;
GRANT UPDATE ON acta_current, task TO prep_capture;
-- Decisions of two people, and their effects.
GRANT SELECT ON decision, decision_move, proposal, confirmation, publication_decision, fuera_catalogo, fuera_removed, publication_fuera,
    publication_image, publication, arrival, held_back, parked, attempt, outbox, event TO prep_capture;
GRANT INSERT ON proposal, confirmation, fuera_catalogo, fuera_removed, image_current, device_loss TO prep_capture;
GRANT SELECT ON device_loss TO prep_capture, prep_sequencer, prep_publisher;
GRANT UPDATE ON image_current, parked TO prep_capture;
GRANT DELETE ON task, session TO prep_capture;
GRANT EXECUTE ON FUNCTION acta_after, open_session, key_is_theirs, rewrite_password TO prep_capture;

GRANT SELECT ON image, arrival, reading, image_oddity, image_current, identification, entry, resolution, acta_current, acta_version,
    fuera_catalogo, task, outbox, bus_message, bus_cursor, done, attempt, parked, corte TO prep_worker;
GRANT SELECT (id, role, site, active) ON person TO prep_worker;
GRANT SELECT ON decision, decision_move, proposal, confirmation, publication_decision, fuera_removed, publication_fuera TO prep_worker;
GRANT INSERT ON proposal, confirmation, fuera_removed TO prep_worker;
GRANT INSERT ON image, arrival, reading, image_oddity, image_current, identification, acta_current, acta_version, fuera_catalogo, task,
    event, outbox, bus_message, bus_cursor, done, attempt, parked TO prep_worker;
GRANT UPDATE ON acta_current, image_current, bus_cursor, attempt, parked TO prep_worker;
GRANT UPDATE (image) ON task TO prep_worker;
GRANT DELETE ON task, outbox, bus_message, done, attempt TO prep_worker;
GRANT EXECUTE ON FUNCTION acta_after TO prep_worker;

GRANT SELECT ON image, arrival, reading, image_current, entry, resolution, acta_current, acta_version, fuera_catalogo, corte, publication,
    publication_image, held_back, outbox, parked, event, ceremony, log_start, log_key, log_leaf, log_state TO prep_publisher;
GRANT SELECT ON decision, proposal, confirmation, publication_decision, fuera_removed, publication_fuera TO prep_publisher;
GRANT INSERT ON corte, publication, publication_image, publication_decision, publication_fuera, held_back, event, ceremony TO prep_publisher;
GRANT UPDATE (estado, changed_at) ON acta_current TO prep_publisher;
GRANT DELETE ON held_back TO prep_publisher;
GRANT EXECUTE ON FUNCTION acta_after TO prep_publisher;

GRANT SELECT ON device, image, arrival, reading, entry, resolution, acta_version, event, decision, proposal, confirmation,
    corte, publication, ceremony, log_start, log_key, log_leaf,
    log_state TO prep_sequencer;
GRANT INSERT ON log_start, log_key, log_leaf, log_state, event TO prep_sequencer;
GRANT UPDATE ON log_state TO prep_sequencer;

-- The auditor reads everything but what lets somebody in.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO prep_audit;
REVOKE SELECT ON person, session FROM prep_audit;
GRANT SELECT (id, login, role, site, active) ON person TO prep_audit;
GRANT SELECT (person, expires_at) ON session TO prep_audit;

-- prep_app keeps the rights of all parts together, and no more than these: no sessions of others, no passwords.
REVOKE SELECT ON person FROM prep_app;
GRANT SELECT (id, login, role, site, active, password_form) ON person TO prep_app;
REVOKE INSERT, UPDATE ON session FROM prep_app;
GRANT SELECT ON capture_rule TO prep_app;
GRANT EXECUTE ON FUNCTION acta_after, open_session, key_is_theirs, rewrite_password TO prep_app;
