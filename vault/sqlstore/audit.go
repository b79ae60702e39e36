package sqlstore

import (
	"errors"
	"fmt"
	"math"

	"github.com/grantry/grantry/vault"
)

type auditRows struct{ *tx }

const (
	auditColumns = `stream, seq, time, user_key, kind, body, mac`

	queryAuditHead = `SELECT seq, mac FROM audit WHERE stream = $1 ORDER BY seq DESC LIMIT 1`

	// queryAppendAudit writes one row: several of them in one statement are no faster on SQLite.
	queryAppendAudit = `INSERT INTO audit (` + auditColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`

	queryAudit = `SELECT ` + auditColumns + ` FROM audit WHERE stream = $1 AND seq >= $2 ORDER BY seq LIMIT $3`

	queryAuditOf = `SELECT ` + auditColumns + ` FROM audit WHERE user_key = $1 AND kind <> 'token.released'
		AND (time, stream, seq) < ($2, $3, $4) ORDER BY time DESC, stream DESC, seq DESC LIMIT $5`

	queryPruneAudit = `DELETE FROM audit WHERE stream = $1 AND seq <= $2`

	// queryStreams steps from each stream to the next: the log is long, the streams are few.
	queryStreams = `WITH RECURSIVE s (stream) AS (SELECT min(stream) FROM audit
		UNION ALL SELECT (SELECT min(audit.stream) FROM audit WHERE audit.stream > s.stream) FROM s WHERE s.stream IS NOT NULL)
		SELECT stream FROM s WHERE stream IS NOT NULL ORDER BY stream`
)

func auditQueries() []string {
	return []string{queryAuditHead, queryAppendAudit, queryAudit, queryAuditOf, queryPruneAudit, queryStreams}
}

func scanAudit(s scanner) (a vault.AuditRow, err error) {
	err = s.Scan(&a.Stream, &a.Seq, &a.Time, &a.User, &a.Kind, &a.Body, &a.MAC)
	return a, err
}

func (r auditRows) Head(stream string) (int64, []byte, error) {
	last, err := one(r.tx, func(s scanner) (a vault.AuditRow, err error) {
		err = s.Scan(&a.Seq, &a.MAC)
		return a, err
	}, "reading audit head", queryAuditHead, stream)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return 0, nil, err
	}
	r.head(stream, last.Seq)
	return last.Seq, last.MAC, nil
}

// head remembers the last number of a stream as this transaction sees it.
func (r auditRows) head(stream string, seq int64) {
	if r.heads == nil {
		r.heads = map[string]int64{}
	}
	r.heads[stream] = seq
}

// Append reads the head of a stream only where this transaction does not know it yet.
func (r auditRows) Append(rows []vault.AuditRow) error {
	for _, a := range rows {
		head, known := r.heads[a.Stream]
		if !known {
			var err error
			if head, _, err = r.Head(a.Stream); err != nil {
				return err
			}
		}
		if a.Seq != head+1 {
			return fmt.Errorf("appending audit entry %d after %d: %w", a.Seq, head, vault.ErrConflict)
		}
		err := r.execOne(vault.ErrConflict, "appending audit entry", queryAppendAudit, a.Stream, a.Seq, a.Time, a.User, a.Kind, a.Body, a.MAC)
		if err != nil {
			return err
		}
		r.head(a.Stream, a.Seq)
	}
	return nil
}

func (r auditRows) Read(stream string, seq int64, limit int) ([]vault.AuditRow, error) {
	return all(r.tx, scanAudit, "reading audit", queryAudit, stream, seq, limit)
}

func (r auditRows) Of(user string, before vault.AuditMark, limit int) ([]vault.AuditRow, error) {
	if before == (vault.AuditMark{}) {
		before.Time = math.MaxInt64
	}
	return all(r.tx, scanAudit, "reading a user's audit", queryAuditOf, user, before.Time, before.Stream, before.Seq, limit)
}

func (r auditRows) Prune(stream string, last int64) error {
	head, _, err := r.Head(stream)
	if err != nil {
		return err
	}
	if head <= last {
		return fmt.Errorf("pruning audit to entry %d of %d: %w", last, head, vault.ErrConflict)
	}
	if _, err := r.exec(queryPruneAudit, stream, last); err != nil {
		return fmt.Errorf("pruning audit: %w", err)
	}
	return nil
}

func (r auditRows) Streams() ([]string, error) {
	return all(r.tx, func(s scanner) (name string, err error) {
		err = s.Scan(&name)
		return name, err
	}, "listing audit streams", queryStreams)
}
