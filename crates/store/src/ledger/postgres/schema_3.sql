-- Indexes are built however long it takes.
SET LOCAL statement_timeout = 0;

-- Whose order a venue's order is: by the venue's id, with which a report's identity begins, so that these
-- are in the order of their bytes; or by the id that it was sent with.
ALTER TABLE facts ALTER COLUMN identity TYPE text COLLATE "C";
CREATE INDEX intents_of_venue ON facts ((body::jsonb #>> '{submit,venue_client_id}'))
WHERE kind = 'submit';
