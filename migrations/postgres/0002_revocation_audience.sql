-- For `token` entries: the audiences of the token, as a JSON array. A resource server for other audiences need not hear of it.
-- NULL concerns everybody.
ALTER TABLE revocations ADD COLUMN audience TEXT;
