package sqlstore

import "github.com/grantry/grantry/vault"

type vaultRows struct{ *tx }

const (
	querySetting = `SELECT value FROM settings WHERE name = $1`

	querySetSetting = `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

func vaultQueries() []string {
	return []string{querySetting, querySetSetting}
}

func (r vaultRows) Setting(name string) ([]byte, error) {
	return one(r.tx, func(s scanner) (value []byte, err error) {
		err = s.Scan(&value)
		return value, err
	}, "reading setting", querySetting, name)
}

func (r vaultRows) SetSetting(name string, value []byte) error {
	return r.execOne(vault.ErrConflict, "writing setting", querySetSetting, name, value)
}

func (r vaultRows) Now() (int64, error) { return r.now(r.tx) }
