-- What each of two people said of an acta becomes a leaf of the log: sin acta, and which acta an image is of.

-- What makes a commitment to it tell nothing before it is opened, and the number from which the sequencer goes on. The
-- numbers are of one sequence, because statements of one kind stand in two tables.
CREATE SEQUENCE statement_number;
ALTER TABLE proposal
    ADD COLUMN number bigint NOT NULL UNIQUE DEFAULT nextval('statement_number'),
    ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);
ALTER TABLE confirmation
    ADD COLUMN number bigint NOT NULL UNIQUE DEFAULT nextval('statement_number'),
    ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);
ALTER TABLE identification
    ADD COLUMN number bigint NOT NULL UNIQUE DEFAULT nextval('statement_number'),
    ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);

-- The number and the salt are not for a part to choose: with a low number a statement would never become a leaf.
CREATE FUNCTION statement_is_numbered() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    NEW.number := nextval('statement_number');
    NEW.salt := uuid_send(gen_random_uuid());
    RETURN NEW;
END $$;
ALTER TABLE proposal ALTER COLUMN number DROP DEFAULT;
ALTER TABLE confirmation ALTER COLUMN number DROP DEFAULT;
ALTER TABLE identification ALTER COLUMN number DROP DEFAULT;
CREATE TRIGGER statement_is_numbered BEFORE INSERT ON proposal FOR EACH ROW EXECUTE FUNCTION statement_is_numbered();
CREATE TRIGGER statement_is_numbered BEFORE INSERT ON confirmation FOR EACH ROW EXECUTE FUNCTION statement_is_numbered();
CREATE TRIGGER statement_is_numbered BEFORE INSERT ON identification FOR EACH ROW EXECUTE FUNCTION statement_is_numbered();

CREATE INDEX proposal_image ON proposal (image) WHERE image IS NOT NULL;
CREATE INDEX acta_version_decision ON acta_version (decision) WHERE decision IS NOT NULL;

-- Every such statement. `identidad` of no acta (NULL): the image is fuera de catálogo. An image whose decision is undone
-- goes back to the acta that it was taken from. `holds`: another person agreed, or was asked apart.
CREATE VIEW statement AS
SELECT w.number, CASE p.kind WHEN 'sin_acta' THEN 'sin_acta' ELSE 'identidad' END AS kind,
    CASE WHEN p.kind = 'sin_acta' OR p.undoes IS NOT NULL THEN p.acta WHEN p.kind = 'imagen_de_otra_acta' THEN p.to_acta END AS acta,
    p.image, p.id AS proposal, p.reason, w.person, w.salt,
    EXISTS (SELECT FROM confirmation c WHERE c.proposal = p.id AND c.agrees) AS holds
FROM (
    SELECT number, id AS proposal, person, salt FROM proposal
    UNION ALL
    SELECT number, proposal, person, salt FROM confirmation WHERE agrees
) w
JOIN proposal p ON p.id = w.proposal
WHERE (p.kind = 'sin_acta' AND p.undoes IS NULL)
    OR (p.kind = 'fuera_de_catalogo' AND p.undoes IS NULL)
    OR (p.kind = 'imagen_de_otra_acta' AND p.undoes IS NULL AND p.to_acta IS NOT NULL)
    OR (p.image IS NOT NULL AND p.undoes IS NOT NULL AND p.acta IS NOT NULL)
UNION ALL
SELECT i.number, 'identidad', a.id, i.image, NULL, NULL, i.person, i.salt, true
FROM identification i JOIN acta a ON a.qr = i.identity
WHERE i.source = 'person';

GRANT SELECT ON statement TO prep_app, prep_publisher, prep_sequencer, prep_audit;
GRANT SELECT ON identification TO prep_publisher, prep_sequencer;
GRANT SELECT ON fuera_catalogo, publication_fuera TO prep_sequencer;
