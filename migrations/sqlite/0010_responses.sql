-- How the person signed in, and which claims the app asked for by name: a refreshed token says the same.
ALTER TABLE token_families ADD COLUMN amr TEXT NOT NULL DEFAULT '[]';
ALTER TABLE token_families ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';

-- Access tokens of which more must be known than they say: the claims that userinfo gives for them beside those of their scope, and
-- that the authorization endpoint issued them, perhaps beside a code.
CREATE TABLE access_tokens (
    jti        TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    code_hash  BLOB,
    claims     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_code ON access_tokens (code_hash);
CREATE INDEX access_tokens_user ON access_tokens (user_id, client_id);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);
