-- +goose Up

-- What was done in one person's name, newest first.
CREATE INDEX audit_user ON audit (user_key, time, stream, seq);
