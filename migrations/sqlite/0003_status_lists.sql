-- Token Status List: which place of which list each access token has. Only with tokens.status_list.

CREATE TABLE status_lists (
    id         TEXT PRIMARY KEY,
    size       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When the last of its tokens has expired.
    expires_at BIGINT NOT NULL
);

-- One row for each access token: no key to status_lists, which would make every token lock that row. Without ROWID, so that a list
-- lies in one piece and is read in a third of the time.
CREATE TABLE status_list_entries (
    list      TEXT NOT NULL,
    idx       BIGINT NOT NULL,
    jti       TEXT NOT NULL,
    sid       TEXT,
    sub       TEXT NOT NULL,
    client_id TEXT NOT NULL,
    kid       TEXT NOT NULL,
    iat       BIGINT NOT NULL,
    PRIMARY KEY (list, idx)
) WITHOUT ROWID;

-- The place of the access token that was issued beside a refresh token: a retried refresh gives the same.
ALTER TABLE refresh_tokens ADD COLUMN status_list TEXT;
ALTER TABLE refresh_tokens ADD COLUMN status_idx BIGINT;
