package sqlstore_test

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// TestSettingsAreReadBack takes the settings of the data source name away, one
// at a time, and wants each loss to be noticed.
func TestSettingsAreReadBack(t *testing.T) {
	t.Parallel()
	cfg := sqlstore.Config{Path: newPath(t), BusyTimeout: time.Second}
	openStore(t, cfg.Path)
	for _, role := range []sqlstore.Role{sqlstore.Writing, sqlstore.Appending, sqlstore.Reading} {
		dsn := sqlstore.DSN(cfg, role)
		if err := sqlstore.ConnectDSN(t.Context(), cfg, dsn, role); err != nil {
			t.Fatalf("the name as it is: %v", err)
		}
		for name, weaker := range weakerNames(t, dsn) {
			err := sqlstore.ConnectDSN(t.Context(), cfg, weaker, role)
			var setting *sqlstore.SettingError
			if !errors.As(err, &setting) {
				t.Errorf("without %s: %v, want a SettingError", name, err)
			}
		}
	}
	for _, other := range [][2]sqlstore.Role{{sqlstore.Writing, sqlstore.Reading}, {sqlstore.Appending, sqlstore.Writing}} {
		if err := sqlstore.ConnectDSN(t.Context(), cfg, sqlstore.DSN(cfg, other[0]), other[1]); err == nil {
			t.Errorf("a connection for role %d passes for one for role %d", other[0], other[1])
		}
	}
}

// weakerNames answers dsn with each of its settings left out or weakened. What
// is no setting of a connection, or kept by the file, is left alone.
func weakerNames(t *testing.T, dsn string) map[string]string {
	t.Helper()
	base, query, _ := strings.Cut(dsn, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key := range q {
		weak := url.Values{}
		for k, v := range q {
			weak[k] = v
		}
		switch key {
		case "mode", "_txlock", "_journal_mode", "_pragma":
			continue
		case "_synchronous":
			weak.Set(key, map[string]string{"FULL": "NORMAL", "NORMAL": "OFF"}[q.Get(key)])
		default:
			weak.Del(key)
		}
		out[key] = base + "?" + weak.Encode()
	}
	for i, p := range q["_pragma"] {
		weak := url.Values{}
		for k, v := range q {
			weak[k] = v
		}
		weak["_pragma"] = append(append([]string(nil), q["_pragma"][:i]...), q["_pragma"][i+1:]...)
		if p == "trusted_schema(0)" || p == "cell_size_check(1)" || p == "secure_delete(1)" || p == "temp_store(2)" || strings.HasPrefix(p, "journal_size_limit") || strings.HasPrefix(p, "wal_autocheckpoint") {
			out[p] = base + "?" + weak.Encode()
		}
	}
	return out
}

func TestStrictPragmas(t *testing.T) {
	t.Parallel()
	openStore(t, newPath(t))
	if !sqlite.StrictPragmasEnabled() {
		t.Error("a setting in a data source name may run any SQL")
	}
}

// TestPathIsNoParameter opens a file whose name would add settings if it were not escaped.
func TestPathIsNoParameter(t *testing.T) {
	t.Parallel()
	path := newPath(t) + "?_synchronous=OFF&mode=memory#%41"
	s := openStore(t, path)
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Vault().SetSetting("a", []byte("b")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, path)
	if err := again.View(t.Context(), func(tx vault.Tx) error { _, err := tx.Vault().Setting("a"); return err }); err != nil {
		t.Errorf("after opening again: %v", err)
	}
}

func TestOpenWantsAnAbsolutePath(t *testing.T) {
	t.Parallel()
	if _, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: "vault.db", Logger: slog.Default()}); err == nil {
		t.Error("a relative path was accepted")
	}
}
