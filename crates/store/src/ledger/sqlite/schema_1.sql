-- Everything that happened, in the order in which it became known. `body` is the whole fact.
CREATE TABLE facts (
    position        INTEGER PRIMARY KEY,
    run             INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    consumer        TEXT NOT NULL,
    client_order_id TEXT,
    identity        TEXT UNIQUE,
    body            TEXT NOT NULL
) STRICT;
CREATE INDEX facts_of_order ON facts (consumer, client_order_id, position);
CREATE INDEX reports_of_consumer ON facts (consumer, position) WHERE kind = 'report';
CREATE TRIGGER facts_are_kept BEFORE DELETE ON facts
BEGIN SELECT raise(ABORT, 'facts are never deleted'); END;
CREATE TRIGGER facts_are_final BEFORE UPDATE ON facts
BEGIN SELECT raise(ABORT, 'facts are never changed'); END;

-- What is current. The primary key is the check for duplicates: see `Submit`.
CREATE TABLE orders (
    consumer        TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    intent          INTEGER NOT NULL,
    answer          INTEGER,
    report          INTEGER,
    state           TEXT,
    quantity        TEXT,
    filled          TEXT,
    open            INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (consumer, client_order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_orders ON orders (intent) WHERE open = 1;

-- How far each consumer has got.
CREATE TABLE consumers (
    name         TEXT PRIMARY KEY,
    acknowledged INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Each time that a writer opened the file, and the last append of each: see `seq` in `facts`.
CREATE TABLE runs (
    run  INTEGER PRIMARY KEY AUTOINCREMENT,
    seq  INTEGER NOT NULL DEFAULT 0,
    syncs INTEGER NOT NULL DEFAULT 0
) STRICT;
