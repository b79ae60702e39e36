-- +goose Up

PRAGMA user_version = 3;

-- What was done in one person's name, newest first. Releases are many, each belongs to a call
-- that has an entry of its own, and an index would double what writing one costs.
CREATE INDEX audit_user ON audit (user_key, time, stream, seq) WHERE kind <> 'token.released';
