-- What a published row stands on, and the numbers of devices that will never come.

-- What makes the name of a person in the log's statements: the same for all that she says about one acta.
ALTER TABLE log_start ADD COLUMN secret bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(secret) = 16);

-- What makes a commitment tell nothing before it is opened. A resolution gets a number, from which the sequencer goes on.
ALTER TABLE resolution ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);
ALTER TABLE acta_version ADD COLUMN salt bytea NOT NULL DEFAULT uuid_send(gen_random_uuid()) CHECK (length(salt) = 16);

-- Two people say that no image will ever come under these numbers.
CREATE TABLE device_loss (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device    text NOT NULL REFERENCES device,
    numbers   text NOT NULL CHECK (numbers ~ '^[1-9][0-9]{0,17}(-[1-9][0-9]{0,17})?(,[1-9][0-9]{0,17}(-[1-9][0-9]{0,17})?)*$'),
    reason    text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
    person    integer NOT NULL REFERENCES person,
    confirmed integer NOT NULL REFERENCES person,
    at        timestamptz NOT NULL,
    CHECK (person <> confirmed)
);

-- Every key that a device had. No key comes back, and none is of two devices.
CREATE TABLE device_key (
    public_key bytea PRIMARY KEY CHECK (length(public_key) = 32),
    device     text NOT NULL REFERENCES device,
    since      timestamptz NOT NULL
);
CREATE INDEX device_key_device ON device_key (device);
INSERT INTO device_key SELECT public_key, id, enrolled_at FROM device;

GRANT SELECT ON device_loss, device_key TO prep_app;
GRANT INSERT ON device_loss TO prep_app;
