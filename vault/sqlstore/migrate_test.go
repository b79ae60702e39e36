package sqlstore_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
)

// raw runs a statement on the file beside the store.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refuses wants Open to fail with an error that is says, and the file to stay as it is.
func refuses(t *testing.T, path string, is func(error) bool) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path})
	if err == nil {
		_ = s.Close()
	}
	if !is(err) {
		t.Errorf("Open: %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "PRAGMA user_version = 99")
	refuses(t, path, func(err error) bool {
		var newer *sqlstore.SchemaError
		return errors.As(err, &newer) && newer.Have == 99 && newer.Known == newest(t)
	})
}

// TestNewerMigrations wants goose's list to be enough, without the file's own version.
func TestNewerMigrations(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 0)")
	openStore(t, path) // one that was taken back
	path = newPath(t)
	if err := openStore(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1)")
	refuses(t, path, func(err error) bool {
		var newer *sqlstore.SchemaError
		return errors.As(err, &newer) && newer.Have == 7 && newer.Known == newest(t)
	})
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	foreign := func(err error) bool { return errors.Is(err, sqlstore.ErrNotVault) }
	for name, statement := range map[string]string{
		"tables":      "CREATE TABLE notes (text)",
		"application": "PRAGMA application_id = 7; PRAGMA user_version = 1",
		"version":     "PRAGMA user_version = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			raw(t, path, statement)
			refuses(t, path, foreign)
		})
	}
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "vault.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("dear diary, ", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, path, foreign)
	})
}

func TestDamage(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	for i := range 200 {
		row := vault.AuditRow{Stream: "main", Seq: int64(i + 1), Body: make([]byte, 1000), MAC: []byte("m")}
		if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Audit().Append([]vault.AuditRow{row}) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) - 3*4096; i < len(data)-2*4096; i++ {
		data[i] = 0xa5
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, func(err error) bool { return errors.Is(err, sqlstore.ErrCorrupt) })
}

// newest is the version of the schema that this program makes.
func newest(t *testing.T) int64 {
	t.Helper()
	return int64(len(migrationsOf(t, "sqlite")))
}

// backupOf is where a database is kept as it was before a migration that this program does not have.
func backupOf(t *testing.T, path string) string {
	t.Helper()
	return fmt.Sprintf("%s.v%d.bak", path, newest(t))
}

// future are the migrations with one more, that ends with last.
func future(t *testing.T, last string) fs.FS {
	return withMigration(t, "sqlite", fmt.Sprintf("PRAGMA user_version = %d;\n", newest(t)+1)+"CREATE TABLE later (a TEXT NOT NULL) STRICT;\n"+last)
}

// withMigration are a database's migrations and one more.
func withMigration(t *testing.T, database, body string) fs.FS {
	t.Helper()
	names, err := filepath.Glob("migrations/" + database + "/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{fmt.Sprintf("%05d_later.sql", newest(t)+1): {Data: []byte("-- +goose Up\n" + body)}}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = &fstest.MapFile{Data: data}
	}
	return out
}

func withSetting(t *testing.T, path string) {
	t.Helper()
	s := openStore(t, path)
	if err := s.Update(t.Context(), func(tx vault.Tx) error { return tx.Vault().SetSetting("a", []byte("b")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func readSetting(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	if err := s.View(t.Context(), func(tx vault.Tx) error { _, err := tx.Vault().Setting("a"); return err }); err != nil {
		t.Errorf("reading what was there before: %v", err)
	}
}

func TestMigrationBacksUp(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	withSetting(t, path)
	backup := backupOf(t, path)
	if err := os.WriteFile(backup, []byte("of an earlier attempt"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: path}, future(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	readSetting(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, func(err error) bool {
		var newer *sqlstore.SchemaError
		return errors.As(err, &newer) && newer.Have == newest(t)+1
	})
	readSetting(t, openStore(t, backup))
}

// TestFailedMigration leaves the database at its version.
func TestFailedMigration(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	withSetting(t, path)
	if _, err := sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: path}, future(t, "INSERT INTO nowhere VALUES (1);\n")); err == nil {
		t.Fatal("a migration that fails was accepted")
	}
	readSetting(t, openStore(t, path))
}

// TestMigrationMustSetItsVersion notices a migration whose author forgot.
func TestMigrationMustSetItsVersion(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.OpenWith(t.Context(), sqlstore.Config{Path: newPath(t)}, future(t, fmt.Sprintf("PRAGMA user_version = %d;\n", newest(t))))
	var setting *sqlstore.SettingError
	if !errors.As(err, &setting) || setting.Name != "user_version" {
		t.Errorf("err = %v, want a SettingError of user_version", err)
	}
}
