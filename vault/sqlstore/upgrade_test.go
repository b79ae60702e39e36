package sqlstore_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sqlstore"
)

// rowsOfSchema1 are one of each kind that a vault had before processes were known.
func rowsOfSchema1(blob func(hex string) string) []string {
	b := blob("0102")
	return []string{
		`INSERT INTO users (key, dek, profile_ct, created) VALUES ('u', ` + b + `, NULL, 5)`,
		`INSERT INTO data_keys (id, user_key, wrapped, created) VALUES (` + b + `, 'u', ` + b + `, 5)`,
		`INSERT INTO settings (name, value) VALUES ('a', ` + b + `)`,
		`INSERT INTO grants (id, user_key, connection, account_key, state, gen, scopes, is_default, granted_by, access_exp, alt_until,
			lease_owner, lease_seq, lease_until, attempt_at, attempt_phase, next_try, fail_count, last_error, audit_gap, unverified,
			created, updated, refreshed, used, refresh_ct)
			VALUES ('g', 'u', 'c', 'k', 'active', 7, 'a b', 1, 'person', 9, 0, '', 3, 0, 0, '', 0, 0, '', 0, 0, 1, 2, 3, 4, ` + b + `)`,
		`INSERT INTO audit (stream, seq, time, user_key, kind, body, mac) VALUES ('main', 1, 5, 'u', 'k', ` + b + `, ` + b + `)`,
	}
}

// makeSchema1 makes a database as the first migration alone makes it, with rows.
func makeSchema1(t *testing.T, place string) {
	t.Helper()
	kind, isServer := "sqlite", strings.HasPrefix(place, "postgres://")
	if isServer {
		kind = "postgres"
	}
	first, err := os.ReadFile("migrations/" + kind + "/00001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	migrations := fstest.MapFS{"00001_init.sql": {Data: first}}
	if isServer {
		_, err = sqlstore.OpenPostgresWith(t.Context(), sqlstore.PostgresConfig{URL: provider.NewSecret(place)}, migrations)
	} else {
		_, err = sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: place}, migrations)
	}
	if err == nil || !strings.Contains(err.Error(), "preparing a query") { // this program asks for what came later
		t.Fatalf("opening at schema 1: %v", err)
	}
	if isServer {
		server(t, place, rowsOfSchema1(func(hex string) string { return `'\x` + hex + `'` })...)
		return
	}
	raw(t, place, strings.Join(rowsOfSchema1(func(hex string) string { return `x'` + hex + `'` }), ";\n"))
}

// TestManyProcessesUpgrade starts processes at once on a database of the schema
// before: one of them migrates it, and all find what was in it.
func TestManyProcessesUpgrade(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		makeSchema1(t, place)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if out, err := runChild(t, "open", place, ""); err != nil {
					t.Errorf("a process: %v\n%s", err, out)
				}
			})
		}
		wg.Wait()
		s := openStore(t, place)
		err := s.View(t.Context(), func(tx vault.Tx) error {
			g, err := tx.Grants().Get("g")
			if err != nil || g.Gen != 7 || g.Scopes != "a b" || !g.IsDefault || string(g.RefreshCT) != "\x01\x02" || g.Used != 4 {
				t.Errorf("the grant is %+v, %v", g, err)
			}
			if _, err := tx.Keys().Get([]byte{1, 2}); err != nil {
				t.Errorf("the data key: %v", err)
			}
			head, _, err := tx.Audit().Head("main")
			if err != nil || head != 1 {
				t.Errorf("the audit ends at %d, %v", head, err)
			}
			if n, err := tx.Vault().Epoch(); err != nil || n < 1 {
				t.Errorf("the epoch is %d, %v", n, err)
			}
			due, err := tx.Upkeep().Due(10, 0, 10, 5)
			if err != nil || len(due) != 1 {
				t.Errorf("%d grants are due, %v", len(due), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		readSetting(t, s)
		if strings.HasPrefix(place, "postgres://") {
			return
		}
		if _, err := os.Stat(place + ".v1.bak"); err != nil {
			t.Errorf("the backup before the migration: %v", err)
		}
	})
}
