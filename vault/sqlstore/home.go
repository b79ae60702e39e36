package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/grantry/grantry/vault"
)

var _ vault.Homed = (*Store)(nil)

// askHome is the cluster, the database and the table: a dump that is loaded
// again has another table, a template's copy another database, another server
// another cluster. A copy of the whole cluster's files is not told apart.
const askHome = `SELECT (SELECT system_identifier::text FROM pg_control_system()), d.oid::bigint, 'settings'::regclass::oid::bigint
	FROM pg_database d WHERE d.datname = current_database()`

// askHomeHere is askHome for a server that does not say which cluster it is.
const askHomeHere = `SELECT '', d.oid::bigint, 'settings'::regclass::oid::bigint FROM pg_database d WHERE d.datname = current_database()`

// Home implements vault.Homed. A file is known by its number in its file system and
// the time of its birth, so that it may be renamed and mounted elsewhere; where
// there is no such time, by number and device. A snapshot of the whole disk has both.
func (s *Store) Home(ctx context.Context) ([]byte, error) {
	switch d := s.dialect.(type) {
	case *sqliteFile:
		return fileHome(d.cfg.Path)
	case *postgres:
		return d.home(ctx)
	}
	return nil, nil
}

func (d *postgres) home(ctx context.Context) ([]byte, error) {
	var cluster string
	var database, table int64
	err := d.ask.QueryRowContext(ctx, askHome).Scan(&cluster, &database, &table)
	if denied := (*pgconn.PgError)(nil); errors.As(err, &denied) && denied.Code == "42501" {
		err = d.ask.QueryRowContext(ctx, askHomeHere).Scan(&cluster, &database, &table)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the server who it is: %w", err)
	}
	return homeDigest("postgres "+cluster, uint64(database), uint64(table)), nil //nolint:gosec // ids are not negative
}

func fileHome(path string) ([]byte, error) {
	kind, marks, err := fileMarks(path)
	if err != nil || kind == "" {
		return nil, err
	}
	return homeDigest(kind, marks[:]...), nil
}

func homeDigest(kind string, marks ...uint64) []byte {
	b := []byte("grantry/home/v1\x00" + kind + "\x00")
	for _, m := range marks {
		b = binary.BigEndian.AppendUint64(b, m)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}
