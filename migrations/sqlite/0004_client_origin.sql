-- Clients that register themselves, and secrets that must be readable.
ALTER TABLE clients ADD COLUMN origin TEXT NOT NULL DEFAULT 'operator';
UPDATE clients SET origin = 'declared' WHERE declared;
ALTER TABLE clients ADD COLUMN secret_jwe TEXT;
ALTER TABLE clients ADD COLUMN registration_token_hash BLOB;
ALTER TABLE clients ADD COLUMN last_used_at BIGINT;
CREATE INDEX clients_origin ON clients (origin, created_at);
