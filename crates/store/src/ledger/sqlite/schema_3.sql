-- Whose order a venue's order is, by the id that it was sent with.
CREATE INDEX intents_of_venue ON facts (json_extract(body, '$.submit.venue_client_id'))
WHERE kind = 'submit';
