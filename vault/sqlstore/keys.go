package sqlstore

import "github.com/grantry/grantry/vault"

type keyRows struct{ *tx }

const (
	keyColumns = `id, user_key, wrapped, created`

	queryDataKey = `SELECT ` + keyColumns + ` FROM data_keys WHERE id = $1`

	queryDataKeysOf = `SELECT ` + keyColumns + ` FROM data_keys WHERE user_key = $1 ORDER BY created, id`

	queryInsertDataKey = `INSERT INTO data_keys (` + keyColumns + `) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

	queryRewrap = `UPDATE data_keys SET wrapped = $1 WHERE id = $2 AND wrapped = $3`

	// The id of the KEK stands in bytes 3 to 10 of a wrapped key: vault/seal draws the form.
	queryOtherKeys = `SELECT ` + keyColumns + ` FROM data_keys WHERE substr(wrapped, 3, 8) <> $1 AND id > $2 ORDER BY id LIMIT $3`

	queryCountKeys = `SELECT substr(wrapped, 3, 8), count(id) FROM data_keys GROUP BY substr(wrapped, 3, 8) ORDER BY substr(wrapped, 3, 8)`
)

func keyQueries() []string {
	return []string{queryDataKey, queryDataKeysOf, queryInsertDataKey, queryRewrap, queryOtherKeys, queryCountKeys}
}

func scanKey(s scanner) (k vault.KeyRow, err error) {
	err = s.Scan(&k.ID, &k.User, &k.Wrapped, &k.Created)
	return k, err
}

func (r keyRows) Get(id []byte) (vault.KeyRow, error) {
	return one(r.tx, scanKey, "reading data key", queryDataKey, id)
}

func (r keyRows) Of(user string) ([]vault.KeyRow, error) {
	return all(r.tx, scanKey, "listing a user's data keys", queryDataKeysOf, user)
}

func (r keyRows) Insert(k vault.KeyRow) error {
	return r.execOne(vault.ErrConflict, "inserting data key", queryInsertDataKey, k.ID, k.User, k.Wrapped, k.Created)
}

func (r keyRows) Rewrap(id, from, to []byte) error {
	return r.execOne(vault.ErrConflict, "rewrapping data key", queryRewrap, to, id, from)
}

func (r keyRows) Others(kek, after []byte, limit int) ([]vault.KeyRow, error) {
	if after == nil {
		after = []byte{}
	}
	return all(r.tx, scanKey, "listing data keys", queryOtherKeys, kek, after, limit)
}

func (r keyRows) Count() ([]vault.KeyCount, error) {
	return all(r.tx, func(s scanner) (c vault.KeyCount, err error) {
		err = s.Scan(&c.KEK, &c.N)
		return c, err
	}, "counting data keys", queryCountKeys)
}
