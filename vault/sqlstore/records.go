package sqlstore

import (
	"fmt"

	"github.com/grantry/grantry/vault"
)

type recordRows struct{ *tx }

// A record has expired when its time has come: expires <= now.
const (
	recordColumns = `kind, hash, owner, value, version, expires`

	queryRecord = `SELECT ` + recordColumns + ` FROM records WHERE kind = $1 AND hash = $2 AND expires > $3`

	queryRecordsOf = `SELECT ` + recordColumns + ` FROM records WHERE kind = $1 AND owner = $2 AND expires > $3 ORDER BY expires, hash`

	queryInsertRecord = `INSERT INTO records (` + recordColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (kind, hash) DO UPDATE SET owner = excluded.owner, value = excluded.value, version = excluded.version,
			expires = excluded.expires
		WHERE records.expires <= $7`

	queryReplaceRecord = `UPDATE records SET owner = $1, value = $2, version = $3, expires = $4
		WHERE kind = $5 AND hash = $6 AND version = $7 AND expires > $8`

	queryTakeRecord = `DELETE FROM records WHERE kind = $1 AND hash = $2 AND expires > $3 RETURNING ` + recordColumns

	queryExpiredRecords = `SELECT ` + recordColumns + ` FROM records WHERE kind = $1 AND expires <= $2 ORDER BY expires, hash LIMIT $3`

	querySweepRecords = `DELETE FROM records WHERE (kind, hash) IN
		(SELECT kind, hash FROM records WHERE expires <= $1 ORDER BY expires LIMIT $2)`
)

func recordQueries() []string {
	return []string{queryRecord, queryRecordsOf, queryInsertRecord, queryReplaceRecord, queryTakeRecord, queryExpiredRecords, querySweepRecords}
}

func scanRecord(s scanner) (r vault.Record, err error) {
	err = s.Scan(&r.Kind, &r.Hash, &r.Owner, &r.Value, &r.Version, &r.Expires)
	return r, err
}

func (r recordRows) Get(kind string, hash []byte, now int64) (vault.Record, error) {
	return one(r.tx, scanRecord, "reading record", queryRecord, kind, hash, now)
}

func (r recordRows) List(kind, owner string, now int64) ([]vault.Record, error) {
	return all(r.tx, scanRecord, "listing records", queryRecordsOf, kind, owner, now)
}

func (r recordRows) Put(rec vault.Record, now int64) error {
	if rec.Version == 1 {
		return r.execOne(vault.ErrConflict, "inserting record", queryInsertRecord,
			rec.Kind, rec.Hash, rec.Owner, rec.Value, rec.Version, rec.Expires, now)
	}
	r.news = true
	return r.execOne(vault.ErrConflict, "replacing record", queryReplaceRecord,
		rec.Owner, rec.Value, rec.Version, rec.Expires, rec.Kind, rec.Hash, rec.Version-1, now)
}

func (r recordRows) Take(kind string, hash []byte, now int64) (vault.Record, error) {
	return one(r.tx, scanRecord, "taking record", queryTakeRecord, kind, hash, now)
}

func (r recordRows) Expired(kind string, now int64, limit int) ([]vault.Record, error) {
	return all(r.tx, scanRecord, "listing expired records", queryExpiredRecords, kind, now, limit)
}

func (r recordRows) Sweep(now int64, limit int) (int, error) {
	n, err := r.exec(querySweepRecords, now, limit)
	if err != nil {
		return 0, fmt.Errorf("sweeping records: %w", err)
	}
	return int(n), nil
}
