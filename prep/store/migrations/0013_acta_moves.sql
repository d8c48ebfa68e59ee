-- Each legal move of domain/acta.py by its name: a mover of an acta says what happened, and this table says the state
-- after it. A test compares all three columns with the program's table. The trigger of 0003 still refuses a state that
-- is written by hand and that no move leads to.

DELETE FROM acta_move;
ALTER TABLE acta_move ADD COLUMN move text NOT NULL, ADD UNIQUE (from_estado, move);
INSERT INTO acta_move (from_estado, move, to_estado) VALUES
    ('Esperada', 'acopio', 'Acopiada'),
    ('Esperada', 'registro sin acta', 'Verificada'),
    ('Acopiada', 'digitalización', 'Digitalizada'),
    ('Digitalizada', 'captura', 'Capturada'),
    ('Capturada', 'captura', 'Capturada'),
    ('Capturada', 'verificación', 'Verificada'),
    ('Capturada', 'recaptura', 'Digitalizada'),
    ('Verificada', 'publicación', 'Publicada'),
    ('Verificada', 'recaptura', 'Digitalizada'),
    ('Publicada', 'cotejo', 'Cotejada'),
    ('Publicada', 'recaptura', 'Digitalizada'),
    ('Cotejada', 'recaptura', 'Digitalizada');

CREATE FUNCTION acta_after(estado text, happened text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    next_estado text;
BEGIN
    SELECT to_estado INTO next_estado FROM acta_move WHERE from_estado = estado AND move = happened;
    IF next_estado IS NULL THEN
        RAISE EXCEPTION 'an acta that is % allows no %', estado, happened USING ERRCODE = 'check_violation';
    END IF;
    RETURN next_estado;
END $$;
