-- +goose Up

-- "GRNT": says to whom the file belongs. The version equals this file's number.
PRAGMA application_id = 1196576340;
PRAGMA user_version = 1;

-- One person each; key '' is the vault itself. Sealed columns end in _ct.
CREATE TABLE users (
    key        TEXT    NOT NULL PRIMARY KEY,
    dek        BLOB    NOT NULL,
    profile_ct BLOB,
    created    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE data_keys (
    id       BLOB    NOT NULL PRIMARY KEY,
    user_key TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    wrapped  BLOB    NOT NULL,
    created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX data_keys_user ON data_keys (user_key);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One account at a vendor with its grant each. gen counts stored token sets.
CREATE TABLE grants (
    id            TEXT    NOT NULL PRIMARY KEY,
    user_key      TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    connection    TEXT    NOT NULL,
    destination   BLOB,
    account_key   TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    gen           INTEGER NOT NULL,
    scopes        TEXT    NOT NULL,
    is_default    INTEGER NOT NULL,
    granted_by    TEXT    NOT NULL,
    profile_ct    BLOB,
    access_ct     BLOB,
    access_exp    INTEGER NOT NULL,
    refresh_ct    BLOB,
    refresh_fp    BLOB,
    alt_ct        BLOB,
    alt_until     INTEGER NOT NULL,
    lease_owner   TEXT    NOT NULL,
    lease_seq     INTEGER NOT NULL,
    lease_until   INTEGER NOT NULL,
    attempt_at    INTEGER NOT NULL,
    attempt_phase TEXT    NOT NULL,
    next_try      INTEGER NOT NULL,
    fail_count    INTEGER NOT NULL,
    last_error    TEXT    NOT NULL,
    audit_gap     INTEGER NOT NULL,
    unverified    INTEGER NOT NULL,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    refreshed     INTEGER NOT NULL,
    used          INTEGER NOT NULL,
    UNIQUE (user_key, connection, account_key)
) STRICT;
CREATE INDEX grants_created ON grants (created, id);
CREATE INDEX grants_account ON grants (connection, account_key);

-- What one agent may do with one account.
CREATE TABLE access (
    id       TEXT    NOT NULL PRIMARY KEY,
    user_key TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    agent    TEXT    NOT NULL,
    grant_id TEXT    NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    scopes   TEXT    NOT NULL,
    expires  INTEGER NOT NULL,
    once     TEXT    NOT NULL,
    agent_ct BLOB,
    created  INTEGER NOT NULL,
    used     INTEGER NOT NULL,
    UNIQUE (user_key, agent, grant_id)
) STRICT;
CREATE INDEX access_grant ON access (grant_id);

-- Everything short-lived, found by the hash of a handle that only its holder has.
CREATE TABLE records (
    kind    TEXT    NOT NULL,
    hash    BLOB    NOT NULL,
    owner   TEXT    NOT NULL,
    value   BLOB    NOT NULL,
    version INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (kind, hash)
) STRICT;
CREATE INDEX records_owner ON records (kind, owner, expires);
CREATE INDEX records_expires ON records (expires);

-- The keyed hash chain. user_key is a pseudonym and outlives its user.
CREATE TABLE audit (
    stream   TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    user_key TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    mac      BLOB    NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

-- Written to prove that a synced write works.
CREATE TABLE probe (
    id INTEGER NOT NULL PRIMARY KEY,
    n  INTEGER NOT NULL
) STRICT;
