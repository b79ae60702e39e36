-- +goose Up

PRAGMA user_version = 4;

-- Whose rows changed as the epoch moved, lately; key '' is everybody. before is the epoch that it moved from.
CREATE TABLE changes (
    epoch    INTEGER NOT NULL,
    user_key TEXT    NOT NULL,
    before   INTEGER NOT NULL,
    PRIMARY KEY (epoch, user_key)
) STRICT, WITHOUT ROWID;
