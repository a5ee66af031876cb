-- The subjects that clients of one sector know a person by (OpenID Connect Core §8.1). They can be computed from the person, but not the
-- person from them; and what revokes a person's tokens must name each of them.
CREATE TABLE pairwise_subjects (
    sub        TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    sector     TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX pairwise_subjects_user ON pairwise_subjects (user_id);
