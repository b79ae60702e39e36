-- +goose Up

-- One person each; key '' is the vault itself. Sealed columns end in _ct.
CREATE TABLE users (
    key        TEXT    NOT NULL PRIMARY KEY,
    dek        BYTEA   NOT NULL,
    profile_ct BYTEA,
    created    BIGINT  NOT NULL
);

CREATE TABLE data_keys (
    id       BYTEA   NOT NULL PRIMARY KEY,
    user_key TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    wrapped  BYTEA   NOT NULL,
    created  BIGINT  NOT NULL
);
CREATE INDEX data_keys_user ON data_keys (user_key);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- One account at a vendor with its grant each. gen counts stored token sets.
-- Ids sort by their bytes, whatever the database's collation, as on SQLite.
CREATE TABLE grants (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_key      TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    connection    TEXT    NOT NULL,
    destination   BYTEA,
    account_key   TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    gen           BIGINT  NOT NULL,
    scopes        TEXT    NOT NULL,
    is_default    BIGINT  NOT NULL,
    granted_by    TEXT    NOT NULL,
    profile_ct    BYTEA,
    access_ct     BYTEA,
    access_exp    BIGINT  NOT NULL,
    refresh_ct    BYTEA,
    refresh_fp    BYTEA,
    alt_ct        BYTEA,
    alt_until     BIGINT  NOT NULL,
    lease_owner   TEXT    NOT NULL,
    lease_seq     BIGINT  NOT NULL,
    lease_until   BIGINT  NOT NULL,
    attempt_at    BIGINT  NOT NULL,
    attempt_phase TEXT    NOT NULL,
    next_try      BIGINT  NOT NULL,
    fail_count    BIGINT  NOT NULL,
    last_error    TEXT    NOT NULL,
    audit_gap     BIGINT  NOT NULL,
    unverified    BIGINT  NOT NULL,
    created       BIGINT  NOT NULL,
    updated       BIGINT  NOT NULL,
    refreshed     BIGINT  NOT NULL,
    used          BIGINT  NOT NULL,
    UNIQUE (user_key, connection, account_key)
);
CREATE INDEX grants_created ON grants (created, id);
CREATE INDEX grants_account ON grants (connection, account_key);

-- What one agent may do with one account.
CREATE TABLE access (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_key TEXT    NOT NULL REFERENCES users (key) ON DELETE CASCADE,
    agent    TEXT    NOT NULL,
    grant_id TEXT    NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    scopes   TEXT    NOT NULL,
    expires  BIGINT  NOT NULL,
    once     TEXT    NOT NULL,
    agent_ct BYTEA,
    created  BIGINT  NOT NULL,
    used     BIGINT  NOT NULL,
    UNIQUE (user_key, agent, grant_id)
);
CREATE INDEX access_grant ON access (grant_id);

-- Everything short-lived, found by the hash of a handle that only its holder has.
CREATE TABLE records (
    kind    TEXT    NOT NULL,
    hash    BYTEA   NOT NULL,
    owner   TEXT    NOT NULL,
    value   BYTEA   NOT NULL,
    version BIGINT  NOT NULL,
    expires BIGINT  NOT NULL,
    PRIMARY KEY (kind, hash)
);
CREATE INDEX records_owner ON records (kind, owner, expires);
CREATE INDEX records_expires ON records (expires);

-- The keyed hash chain. user_key is a pseudonym and outlives its user.
CREATE TABLE audit (
    stream   TEXT    NOT NULL,
    seq      BIGINT  NOT NULL,
    time     BIGINT  NOT NULL,
    user_key TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    body     BYTEA   NOT NULL,
    mac      BYTEA   NOT NULL,
    PRIMARY KEY (stream, seq)
);

-- Written to prove that a synced write works. Its one row is also the lock that
-- every writer takes first, so it must exist.
CREATE TABLE probe (
    id BIGINT  NOT NULL PRIMARY KEY,
    n  BIGINT  NOT NULL
);
INSERT INTO probe (id, n) VALUES (1, 0);
