-- A sync is none of the file's changes any more.
ALTER TABLE runs DROP COLUMN syncs;
