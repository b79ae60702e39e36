package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/grantry/grantry/vault"
)

// table is one that a copy takes over, by its columns, in an order that no foreign key minds.
type table struct{ name, columns, order string }

// tables are all but the probe and the processes, which belong to one store.
func tables() []table {
	return []table{
		{"settings", "name, value", "name"},
		{"users", userColumns, "key"},
		{"data_keys", keyColumns, "id"},
		{"grants", grantColumns, "id"},
		{"access", accessColumns, "id"},
		{"records", recordColumns, "kind, hash"},
		{"audit", auditColumns, "stream, seq"},
	}
}

const (
	countUsers     = `SELECT count(*) FROM users`
	copyTellsEvery = 1000
)

// Copy takes over all rows of a vault, from one snapshot, into a store that holds
// none, in one transaction, and marks them as a copy. Either may be of any kind.
// vault.ErrConflict says that there is a vault already.
func Copy(ctx context.Context, to, from *Store, p Progress) error {
	err := from.View(ctx, func(t vault.Tx) error {
		src := t.(*tx).sql
		counted, err := countRows(ctx, src)
		if err != nil {
			return err
		}
		return to.Update(ctx, func(t vault.Tx) error {
			c := copier{src: src, dst: t.(*tx), total: counted, progress: p}
			return c.all(ctx)
		})
	})
	if err != nil {
		return fmt.Errorf("copying a vault: %w", err)
	}
	return nil
}

func countRows(ctx context.Context, src querier) (total int64, err error) {
	for _, tb := range tables() {
		var n int64
		if err := src.QueryRowContext(ctx, "SELECT count(*) FROM "+tb.name).Scan(&n); err != nil { //nolint:gosec // our own names
			return 0, err
		}
		total += n
	}
	return total, nil
}

// copier moves rows as they are: both databases have the same columns, of types that correspond.
type copier struct {
	src         querier
	dst         *tx
	done, total int64
	progress    Progress
}

func (c *copier) all(ctx context.Context) error {
	var there int64
	if err := c.dst.sql.QueryRowContext(c.dst.ctx, countUsers).Scan(&there); err != nil {
		return err
	}
	if there > 0 {
		return vault.ErrConflict
	}
	for _, tb := range tables() {
		if err := c.table(ctx, tb); err != nil {
			return fmt.Errorf("table %s: %w", tb.name, err)
		}
	}
	c.dst.changed(everybody)
	return c.dst.Vault().SetSetting(vault.HomeSetting, []byte(vault.CopyMark))
}

func (c *copier) table(ctx context.Context, tb table) (err error) {
	names := strings.Split(tb.columns, ",")
	marks := make([]string, len(names))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	insert, err := c.dst.sql.PrepareContext(c.dst.ctx, "INSERT INTO "+tb.name+" ("+tb.columns+") VALUES ("+strings.Join(marks, ", ")+")") //nolint:gosec // our own names
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	rows, err := c.src.QueryContext(ctx, "SELECT "+tb.columns+" FROM "+tb.name+" ORDER BY "+tb.order) //nolint:gosec // our own names
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := insert.ExecContext(c.dst.ctx, values...); err != nil {
			return err
		}
		c.tell()
	}
	return rows.Err()
}

func (c *copier) tell() {
	if c.done++; c.progress != nil && (c.done%copyTellsEvery == 0 || c.done == c.total) {
		c.progress(c.done, c.total)
	}
}
