-- For `token` entries: the audiences of the token, as a JSON array. A resource server for other audiences need not hear of it.
-- NULL concerns everybody.
ALTER TABLE revocations ADD COLUMN audience TEXT;

-- Where the counter stood before its last step: numbers are not dense.
ALTER TABLE revocation_counter ADD COLUMN previous BIGINT NOT NULL DEFAULT 0;
