-- What each consumer holds by the fills of all its orders: the sum over `facts`, kept with each report.
CREATE TABLE positions (
    consumer   text NOT NULL,
    provider   text NOT NULL,
    instrument text NOT NULL,
    quantity   text NOT NULL,
    PRIMARY KEY (consumer, provider, instrument)
);
