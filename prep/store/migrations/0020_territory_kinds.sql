-- The kinds of territory that elect are data of the catalogue: a junta municipal, a comunidad, a demarcación, any other.
-- The files of the catalogue say which there are; here only the form of the word is checked, as `TerritoryKind` does.

ALTER TABLE territory DROP CONSTRAINT territory_kind_check,
    ADD CONSTRAINT territory_kind_check CHECK (
        kind ~ '^[a-z][a-z0-9]*(_[a-z0-9]+){0,5}$' AND length(kind) <= 40 AND kind NOT IN ('pais', 'distrito')
    );
ALTER TABLE election DROP CONSTRAINT election_nivel_check,
    ADD CONSTRAINT election_nivel_check CHECK (
        nivel ~ '^[a-z][a-z0-9]*(_[a-z0-9]+){0,5}$' AND length(nivel) <= 40
        AND nivel NOT IN ('distrito_federal', 'distrito_local')
    );
