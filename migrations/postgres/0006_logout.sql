-- Which clients a session has signed in to, and as whom: those that its end concerns (OpenID Connect Back-Channel Logout 1.0 §2.3).
CREATE TABLE session_clients (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- As in the ID token that the client has.
    sub        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX session_clients_client ON session_clients (client_id);

-- Logout tokens that are to be sent. No key to sessions or users: a client hears of an account that is deleted.
CREATE TABLE logout_deliveries (
    session_id      TEXT NOT NULL,
    client_id       TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    sub             TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    -- Those that were begun. Who counts up has the delivery until next_attempt_at.
    attempts        BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error      TEXT,
    -- Nobody tries any more; kept for a while, for an operator to see.
    given_up_at     BIGINT,
    PRIMARY KEY (session_id, client_id)
);
CREATE INDEX logout_deliveries_due ON logout_deliveries (client_id, next_attempt_at) WHERE given_up_at IS NULL;
