package sqlstore

import "github.com/grantry/grantry/vault"

type processRows struct{ *tx }

const (
	processColumns = `id, version, keys, stream, started, beat`

	queryPutProcess = `INSERT INTO processes (` + processColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, keys = excluded.keys, stream = excluded.stream,
			started = excluded.started, beat = excluded.beat`

	queryProcesses = `SELECT ` + processColumns + ` FROM processes ORDER BY started, id`

	queryDeleteProcess = `DELETE FROM processes WHERE id = $1`
)

func processQueries() []string {
	return []string{queryPutProcess, queryProcesses, queryDeleteProcess}
}

func (r processRows) Put(p vault.ProcessRow) error {
	return r.execOne(vault.ErrConflict, "writing process", queryPutProcess, p.ID, p.Version, p.Keys, p.Stream, p.Started, p.Beat)
}

func (r processRows) List() ([]vault.ProcessRow, error) {
	return all(r.tx, func(s scanner) (p vault.ProcessRow, err error) {
		err = s.Scan(&p.ID, &p.Version, &p.Keys, &p.Stream, &p.Started, &p.Beat)
		return p, err
	}, "listing processes", queryProcesses)
}

func (r processRows) Delete(id string) error {
	_, err := r.exec(queryDeleteProcess, id)
	return err
}
