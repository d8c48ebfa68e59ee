-- The oddities of an image that was taken all the same (prep/scan/oddities.py). Each person who works on it sees them.
CREATE TABLE image_oddity (
    image bytea NOT NULL REFERENCES image,
    code  text NOT NULL,
    at    timestamptz NOT NULL,
    PRIMARY KEY (image, code)
);
GRANT SELECT, INSERT ON image_oddity TO prep_app;
