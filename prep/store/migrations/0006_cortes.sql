-- What a corte promised and showed, so that its very bytes can be made again from the database alone.

ALTER TABLE corte
    ADD COLUMN due timestamptz,              -- when the next was promised; NULL after the last
    ADD COLUMN simulacro boolean NOT NULL,
    ADD CHECK ((phase = 'final') = (due IS NULL));

-- Which corte brought an image out first; those that are fuera de catálogo among them.
CREATE TABLE publication_image (
    image bytea PRIMARY KEY REFERENCES image,
    corte integer NOT NULL REFERENCES corte DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX publication_image_corte ON publication_image (corte);

GRANT SELECT, INSERT ON publication_image TO prep_app;
