package sqlstore_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// TestActivityIsFoundByItsIndex asks both databases how they read a person's entries:
// by the index alone, in its order, and never the whole log.
func TestActivityIsFoundByItsIndex(t *testing.T) {
	t.Parallel()
	var query string
	for _, q := range sqlstore.Queries() {
		if strings.Contains(q, "FROM audit WHERE user_key") {
			query = q
		}
	}
	path := newPath(t)
	openStore(t, path)
	file, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	place := storetest.Postgres(t)
	openStore(t, place)
	postgres := server(t, place)
	postgres.SetMaxOpenConns(1)
	for _, setting := range []string{"SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"} { // an empty table is read whole, if nobody objects
		if _, err := postgres.ExecContext(t.Context(), setting); err != nil {
			t.Fatal(err)
		}
	}
	for name, plan := range map[string]string{
		"sqlite":   planOf(t, file, "EXPLAIN QUERY PLAN "+query),
		"postgres": planOf(t, postgres, "EXPLAIN "+query),
	} {
		if !strings.Contains(plan, "audit_user") || strings.Contains(plan, "SCAN ") || strings.Contains(strings.ToUpper(plan), "SORT") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

// planOf is the last column of what a database says of its plan.
func planOf(t *testing.T, db *sql.DB, explain string) (plan string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), explain, "u", int64(5), "main", int64(1), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row := make([]any, len(names))
		for i := range row {
			row[i] = new(sql.NullString)
		}
		if err := rows.Scan(row...); err != nil {
			t.Fatal(err)
		}
		plan += row[len(row)-1].(*sql.NullString).String + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
