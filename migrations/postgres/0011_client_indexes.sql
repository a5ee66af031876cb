-- Deleting a client, or ending all that it has, looks its rows up by the client alone. `IF NOT EXISTS`: on a large database they can be
-- made before the upgrade, while it is written to (docs/operating.md).
CREATE INDEX IF NOT EXISTS authorization_requests_client ON authorization_requests (client_id);
CREATE INDEX IF NOT EXISTS authorization_codes_client ON authorization_codes (client_id);
CREATE INDEX IF NOT EXISTS grants_client ON grants (client_id);
CREATE INDEX IF NOT EXISTS token_families_client ON token_families (client_id);
CREATE INDEX IF NOT EXISTS device_authorizations_client ON device_authorizations (client_id);
CREATE INDEX IF NOT EXISTS access_tokens_client ON access_tokens (client_id);
