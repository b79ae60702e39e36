package sqlstore

import "github.com/grantry/grantry/vault"

type userRows struct{ *tx }

const (
	userColumns = `key, dek, profile_ct, created`

	queryUser = `SELECT ` + userColumns + ` FROM users WHERE key = $1`

	queryInsertUser = `INSERT INTO users (` + userColumns + `) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	queryUseKey = `UPDATE users SET dek = $1, profile_ct = $2 WHERE key = $3 AND dek = $4`

	queryUsers = `SELECT ` + userColumns + ` FROM users WHERE key > $1 ORDER BY key LIMIT $2`

	queryDeleteUser = `DELETE FROM users WHERE key = $1`

	queryDeleteRecordsOf = `DELETE FROM records WHERE owner = $1`
)

func userQueries() []string {
	return []string{queryUser, queryInsertUser, queryUseKey, queryUsers, queryDeleteUser, queryDeleteRecordsOf}
}

func scanUser(s scanner) (u vault.UserRow, err error) {
	err = s.Scan(&u.Key, &u.DEK, &u.ProfileCT, &u.Created)
	return u, err
}

func (r userRows) Get(key string) (vault.UserRow, error) {
	return one(r.tx, scanUser, "reading user", queryUser, key)
}

func (r userRows) Put(u vault.UserRow, k vault.KeyRow) error {
	if err := r.execOne(vault.ErrConflict, "inserting user", queryInsertUser, u.Key, u.DEK, u.ProfileCT, u.Created); err != nil {
		return err
	}
	return keyRows(r).Insert(k)
}

func (r userRows) Use(key string, from, to, profileCT []byte) error {
	return r.execOne(vault.ErrConflict, "changing the key in use", queryUseKey, to, profileCT, key, from)
}

// List never has the vault's own row: its key is empty, and so not after anything.
func (r userRows) List(after string, limit int) ([]vault.UserRow, error) {
	return all(r.tx, scanUser, "listing users", queryUsers, after, limit)
}

// Delete leaves keys, grants and access to the foreign keys.
func (r userRows) Delete(key string) error {
	r.changed(key)
	if _, err := r.exec(queryDeleteRecordsOf, key); err != nil {
		return err
	}
	return r.execOne(vault.ErrNotFound, "deleting user", queryDeleteUser, key)
}
