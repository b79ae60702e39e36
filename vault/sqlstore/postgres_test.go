package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// server runs statements beside the store.
func server(t *testing.T, place string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// refusesServer wants OpenPostgres to fail with an error that is says.
func refusesServer(t *testing.T, place string, is func(error) bool) {
	t.Helper()
	s, err := openDatabase(t.Context(), place, 0)
	if err == nil {
		_ = s.Close()
	}
	if !is(err) {
		t.Errorf("OpenPostgres: %v", err)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"synchronous_commit": "off", "default_transaction_read_only": "on"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusesServer(t, storetest.Postgres(t)+"&"+name+"="+value, func(err error) bool {
				var setting *sqlstore.SettingError
				return errors.As(err, &setting) && strings.HasSuffix(name, setting.Name) && setting.Got == value
			})
		})
	}
	openStore(t, storetest.Postgres(t)+"&synchronous_commit=remote_apply")
}

func TestForeignSchemas(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	db := server(t, place, `CREATE TABLE users (name text)`)
	refusesServer(t, place, func(err error) bool { return errors.Is(err, sqlstore.ErrNotVault) })
	var tables int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()`).Scan(&tables); err != nil || tables != 1 {
		t.Errorf("%d tables after refusing, %v", tables, err)
	}
	beside := storetest.Postgres(t)
	server(t, beside, `CREATE TABLE notes (text text)`, `CREATE TABLE goose_db_version (version_id bigint)`)
	openStore(t, beside)
}

func futurePostgres(t *testing.T, body string) fs.FS { return withMigration(t, "postgres", body) }

func TestNewerSchemaOnPostgres(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	withSetting(t, place)
	cfg := sqlstore.PostgresConfig{URL: provider.NewSecret(place)}
	if _, err := sqlstore.OpenPostgresWith(t.Context(), cfg, futurePostgres(t, "CREATE TABLE later (a TEXT); SELECT nothing;")); err == nil {
		t.Fatal("a migration that fails was accepted")
	}
	readSetting(t, openStore(t, place)) // still at its version
	s, err := sqlstore.OpenPostgresWith(t.Context(), cfg, futurePostgres(t, "CREATE TABLE later (a TEXT);"))
	if err != nil {
		t.Fatal(err)
	}
	readSetting(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refusesServer(t, place, func(err error) bool {
		var newer *sqlstore.SchemaError
		return errors.As(err, &newer) && newer.Have == newest(t)+1 && newer.Known == newest(t)
	})
}

// TestPasswordIsNeverTold opens by URLs that do not work, with a password in different places.
func TestPasswordIsNeverTold(t *testing.T) {
	t.Parallel()
	right, err := url.Parse(storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{
		"postgres://grantry:CANARY@" + right.Host + "/postgres?sslmode=disable",
		"postgres://grantry:CANARY@127.0.0.1:1/postgres", "postgres://grantry@" + right.Host + "/postgres?password=CANARY&sslmode=disable",
		"postgres://grantry:CANARY%@host/x", "postgres://grantry:CANARY@host:port/x", "postgres://host/x?password=CANARY&sslmode=no",
		"postgres://grantry:CANARY@" + right.Host + "/postgres?sslmode=disable&nothing=1",
		"host=127.0.0.1 password=CANARY", "mysql://root:CANARY@host", "CANARY", "",
	} {
		_, err := sqlstore.OpenPostgres(t.Context(), sqlstore.PostgresConfig{URL: provider.NewSecret(place)})
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("OpenPostgres(%q): %v", place, err)
		}
	}
}

// hold keeps s in an Update until the answered function is called, which gives the Update's error.
func hold(t *testing.T, s *sqlstore.Store, name string) (release func() error) {
	t.Helper()
	began, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	runs := 0
	go func() {
		ended <- s.Update(context.WithoutCancel(t.Context()), func(tx vault.Tx) error {
			if runs++; runs == 1 {
				close(began)
				<-finish
			}
			return tx.Vault().SetSetting(name, []byte("b"))
		})
	}()
	<-began
	return func() error { close(finish); return <-ended }
}

// TestCancelledWhileAnotherProcessWrites wants a caller to be let go, and its
// store to be of use afterwards.
func TestCancelledWhileAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	first, second := openStore(t, place), openStore(t, place)
	release := hold(t, first, "first")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := second.Update(ctx, func(vault.Tx) error { t.Error("two writers at once"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second: %v, want context.DeadlineExceeded", err)
	}
	if err := second.View(t.Context(), func(vault.Tx) error { return nil }); err != nil {
		t.Errorf("reading beside a writer: %v", err)
	}
	if err := release(); err != nil {
		t.Errorf("the first: %v", err)
	}
	if err := second.Check(t.Context()); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

// TestSilentWriterIsEnded wants a process that stops with the lock in its hand to
// hold the others up for a while only, and to try again when it wakes up.
func TestSilentWriterIsEnded(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	silent, other := openStore(t, place), openStore(t, place)
	sqlstore.SetIdleLimit(silent, "300ms")
	release := hold(t, silent, "a")
	began := time.Now()
	if err := other.Check(t.Context()); err != nil {
		t.Errorf("the other: %v", err)
	}
	if waited := time.Since(began); waited < 200*time.Millisecond {
		t.Errorf("the other wrote after %s, beside the first", waited)
	}
	if err := release(); err != nil {
		t.Errorf("the silent one: %v", err)
	}
	readSetting(t, other)
}
