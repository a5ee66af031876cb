-- Devices that ask for access (RFC 8628). What a person allowed becomes a row of authorization_codes under the same hash.
CREATE TABLE device_authorizations (
    device_code_hash BLOB PRIMARY KEY,
    user_code        TEXT NOT NULL UNIQUE,
    client_id        TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scope            TEXT NOT NULL,
    resource         TEXT NOT NULL,
    -- Where the device asked from.
    ip               TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    -- Seconds between two polls.
    poll_interval    BIGINT NOT NULL,
    polled_at        BIGINT,
    decision         TEXT,
    decided_at       BIGINT
);
CREATE INDEX device_authorizations_expiry ON device_authorizations (expires_at);

-- Access tokens that were exchanged for others (RFC 8693), with each token that they were had for: whatever refuses that one refuses
-- this one too. `source_sid` and `source_sub` are those of an actor; of the subject the token itself has them.
CREATE TABLE exchanged_tokens (
    jti              TEXT NOT NULL,
    audience         TEXT NOT NULL,
    expires_at       BIGINT NOT NULL,
    source_jti       TEXT NOT NULL,
    source_sid       TEXT,
    source_sub       TEXT,
    source_client_id TEXT NOT NULL,
    source_kid       TEXT NOT NULL,
    PRIMARY KEY (jti, source_jti)
);
CREATE INDEX exchanged_tokens_jti ON exchanged_tokens (source_jti);
CREATE INDEX exchanged_tokens_sid ON exchanged_tokens (source_sid);
CREATE INDEX exchanged_tokens_sub ON exchanged_tokens (source_sub);
CREATE INDEX exchanged_tokens_client ON exchanged_tokens (source_client_id);
CREATE INDEX exchanged_tokens_expiry ON exchanged_tokens (expires_at);
