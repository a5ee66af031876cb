-- What is known of sessions from before: every client had the same `sub` of a person. In a migration of its own, since one that makes a
-- table with keys to others keeps their writers waiting until its end.
INSERT INTO session_clients (session_id, client_id, sub, created_at)
    SELECT session_id, client_id, user_id, MIN(created_at) FROM (
        SELECT session_id, client_id, user_id, created_at FROM token_families
        UNION ALL
        SELECT session_id, client_id, user_id, created_at FROM authorization_codes WHERE redeemed_at IS NOT NULL
    ) AS earlier
    WHERE session_id IN (SELECT id FROM sessions)
    GROUP BY session_id, client_id, user_id
    ON CONFLICT (session_id, client_id) DO NOTHING;
