package sqlstore

import "github.com/grantry/grantry/vault"

type userRows struct{ *tx }

const (
	queryUser = `SELECT key, dek, profile_ct, created FROM users WHERE key = $1`

	queryInsertUser = `INSERT INTO users (key, dek, profile_ct, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	queryDataKey = `SELECT id, user_key, wrapped, created FROM data_keys WHERE id = $1`

	queryInsertDataKey = `INSERT INTO data_keys (id, user_key, wrapped, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	querySetting = `SELECT value FROM settings WHERE name = $1`

	querySetSetting = `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

func userQueries() []string {
	return []string{queryUser, queryInsertUser, queryDataKey, queryInsertDataKey, querySetting, querySetSetting}
}

func (r userRows) Get(key string) (vault.UserRow, error) {
	return one(r.tx, func(s scanner) (u vault.UserRow, err error) {
		err = s.Scan(&u.Key, &u.DEK, &u.ProfileCT, &u.Created)
		return u, err
	}, "reading user", queryUser, key)
}

func (r userRows) Put(u vault.UserRow, k vault.KeyRow) error {
	if err := r.execOne(vault.ErrConflict, "inserting user", queryInsertUser, u.Key, u.DEK, u.ProfileCT, u.Created); err != nil {
		return err
	}
	return r.execOne(vault.ErrConflict, "inserting data key", queryInsertDataKey, k.ID, k.User, k.Wrapped, k.Created)
}

func (r userRows) DataKey(id []byte) (vault.KeyRow, error) {
	return one(r.tx, func(s scanner) (k vault.KeyRow, err error) {
		err = s.Scan(&k.ID, &k.User, &k.Wrapped, &k.Created)
		return k, err
	}, "reading data key", queryDataKey, id)
}

func (r userRows) Setting(name string) ([]byte, error) {
	return one(r.tx, func(s scanner) (value []byte, err error) {
		err = s.Scan(&value)
		return value, err
	}, "reading setting", querySetting, name)
}

func (r userRows) SetSetting(name string, value []byte) error {
	return r.execOne(vault.ErrConflict, "writing setting", querySetSetting, name, value)
}
