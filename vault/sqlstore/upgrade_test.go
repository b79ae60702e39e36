package sqlstore_test

import (
	"os"
	"path/filepath"
	"strconv"
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

// makeSchema makes a database as the first migrations alone make it, with rows.
func makeSchema(t *testing.T, place string, version int) {
	t.Helper()
	kind, isServer := "sqlite", strings.HasPrefix(place, "postgres://")
	if isServer {
		kind = "postgres"
	}
	migrations := fstest.MapFS{}
	for _, name := range migrationsOf(t, kind)[:version] {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		migrations[filepath.Base(name)] = &fstest.MapFile{Data: data}
	}
	var s *sqlstore.Store
	var err error
	if isServer {
		s, err = sqlstore.OpenPostgresWith(t.Context(), sqlstore.PostgresConfig{URL: provider.NewSecret(place)}, migrations)
	} else {
		s, err = sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: place}, migrations)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil && !strings.Contains(err.Error(), "preparing a query") { // this program asks for what came later
		t.Fatalf("opening at schema %d: %v", version, err)
	}
	if isServer {
		server(t, place, rowsOfSchema1(func(hex string) string { return `'\x` + hex + `'` })...)
		return
	}
	raw(t, place, strings.Join(rowsOfSchema1(func(hex string) string { return `x'` + hex + `'` }), ";\n"))
}

func migrationsOf(t *testing.T, kind string) []string {
	t.Helper()
	names, err := filepath.Glob("migrations/" + kind + "/*.sql")
	if err != nil || len(names) < 2 {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	return names
}

// TestManyProcessesUpgrade starts processes at once on a database of each schema
// before: one of them migrates it, and all find what was in it.
func TestManyProcessesUpgrade(t *testing.T) {
	t.Parallel()
	for version := 1; version < len(migrationsOf(t, "sqlite")); version++ {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, place string) { upgradeFrom(t, place, version) })
		})
	}
}

func upgradeFrom(t *testing.T, place string, version int) {
	makeSchema(t, place, version)
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
		mine, err := tx.Audit().Of("u", vault.AuditMark{}, 5)
		if err != nil || len(mine) != 1 {
			t.Errorf("the user has %d entries, %v", len(mine), err)
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
	if _, err := os.Stat(place + ".v" + strconv.Itoa(version) + ".bak"); err != nil {
		t.Errorf("the backup before the migration: %v", err)
	}
}
