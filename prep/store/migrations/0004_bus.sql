-- The embedded bus, and what makes handlers safe to repeat on any bus.

CREATE TABLE bus_message (
    topic        text NOT NULL,
    partition    smallint NOT NULL,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    id           text NOT NULL,
    key          text NOT NULL,
    body         bytea NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, seq)
);

CREATE TABLE bus_cursor (
    topic     text NOT NULL,
    partition smallint NOT NULL,
    consumers text NOT NULL,            -- the group
    seq       bigint NOT NULL,          -- everything up to here is acknowledged
    PRIMARY KEY (topic, partition, consumers)
);

-- Messages that leave with the transaction that caused them; a relay hands them to the bus and deletes them.
CREATE TABLE outbox (
    seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id    text NOT NULL,
    topic text NOT NULL,
    key   text NOT NULL,
    body  bytea NOT NULL
);

-- A message handled by a group, marked in the transaction of its effects: a second delivery does nothing.
CREATE TABLE done (
    consumers text NOT NULL,
    message   text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumers, message)
);

-- Failed attempts of a message, kept across restarts; after the last one it is parked.
CREATE TABLE attempt (
    consumers text NOT NULL,
    message   text NOT NULL,
    count     smallint NOT NULL,
    error     text NOT NULL,
    PRIMARY KEY (consumers, message)
);

-- Set aside for a person: no message is dropped, and its partition goes on.
CREATE TABLE parked (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumers text NOT NULL,
    message   text NOT NULL,
    topic     text NOT NULL,
    key       text NOT NULL,
    body      bytea NOT NULL,
    error     text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    state     text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'retried', 'dismissed')),
    reason    text NOT NULL DEFAULT '',
    UNIQUE (consumers, message)
);
