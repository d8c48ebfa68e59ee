-- By which the sequencer goes on from where it was, as with arrivals: what was made of an image is a leaf of its own.
ALTER TABLE reading ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
