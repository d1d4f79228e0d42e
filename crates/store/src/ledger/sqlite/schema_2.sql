-- What each consumer holds by the fills of all its orders: the sum over `facts`, kept with each report.
CREATE TABLE positions (
    consumer   TEXT NOT NULL,
    provider   TEXT NOT NULL,
    instrument TEXT NOT NULL,
    quantity   TEXT NOT NULL,
    PRIMARY KEY (consumer, provider, instrument)
) STRICT, WITHOUT ROWID;
