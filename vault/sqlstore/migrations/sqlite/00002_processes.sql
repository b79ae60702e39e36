-- +goose Up

PRAGMA user_version = 2;

-- Who has this vault open, with which keys.
CREATE TABLE processes (
    id      TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    keys    BLOB NOT NULL,
    stream  TEXT NOT NULL,
    started INTEGER NOT NULL,
    beat    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts the changes that a release must not overtake.
CREATE TABLE epoch (
    id INTEGER NOT NULL PRIMARY KEY,
    n  INTEGER NOT NULL
) STRICT;
INSERT INTO epoch (id, n) VALUES (1, 1);

CREATE INDEX data_keys_kek ON data_keys (substr(wrapped, 3, 8), id);
CREATE INDEX grants_due ON grants (state, access_exp);
CREATE INDEX grants_ended ON grants (state, updated);
CREATE INDEX grants_idle ON grants (state, used);
CREATE INDEX grants_alternates ON grants (alt_until, id) WHERE alt_ct IS NOT NULL;
CREATE INDEX records_of ON records (owner);
