-- The number from which the sequencer goes on, as with arrivals: the reading of an image is a leaf of its own.
ALTER TABLE reading ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
