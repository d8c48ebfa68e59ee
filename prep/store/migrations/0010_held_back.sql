-- Images that a corte could not have: missing from the store, or not what their name says. The actas that rest on them
-- stay as they were last published, and everything else goes out. A row ends when the image can be had again.
CREATE TABLE held_back (
    image bytea PRIMARY KEY REFERENCES image,
    since timestamptz NOT NULL,
    why   text NOT NULL
);
GRANT SELECT, INSERT, DELETE ON held_back TO prep_app;
