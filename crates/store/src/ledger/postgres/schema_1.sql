-- Everything that happened, in the order in which it became known. `body` is the whole fact.
CREATE TABLE facts (
    position        bigint PRIMARY KEY,
    run             bigint NOT NULL,
    seq             bigint NOT NULL,
    kind            text NOT NULL,
    consumer        text NOT NULL,
    client_order_id text,
    identity        text UNIQUE,
    body            text NOT NULL
);
CREATE INDEX facts_of_order ON facts (consumer, client_order_id, position);
CREATE INDEX reports_of_consumer ON facts (consumer, position) WHERE kind = 'report';
CREATE INDEX facts_of_run ON facts (run, seq);
CREATE FUNCTION facts_are_kept() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'facts are never changed and never deleted'; END $$;
CREATE TRIGGER facts_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
EXECUTE FUNCTION facts_are_kept();

-- What is current. The primary key is the check for duplicates: see `Submit`.
CREATE TABLE orders (
    consumer        text NOT NULL,
    client_order_id text NOT NULL,
    intent          bigint NOT NULL,
    answer          bigint,
    report          bigint,
    state           text,
    quantity        text,
    filled          text,
    open            boolean NOT NULL DEFAULT true,
    PRIMARY KEY (consumer, client_order_id)
);
CREATE INDEX open_orders ON orders (intent) WHERE open;

-- How far each consumer has got.
CREATE TABLE consumers (
    name         text PRIMARY KEY,
    acknowledged bigint NOT NULL
);

-- Each time that a writer opened the ledger, and the last append of each: see `seq` in `facts`.
CREATE TABLE runs (
    run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq bigint NOT NULL DEFAULT 0
);
