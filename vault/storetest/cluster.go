package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/storetest/port"
)

// PostgresVariable is the environment variable with the URL of a PostgreSQL
// server for tests. Its user may make schemas in that database.
const PostgresVariable = "GRANTRY_TEST_POSTGRES"

const startLimit = time.Minute

// Main runs a package's tests with a PostgreSQL server: that of PostgresVariable,
// or else a new one on a free loopback port, whose files go with the tests. It
// answers the exit code for TestMain, 1 when there is no server to be had.
func Main(m *testing.M) int {
	if os.Getenv(PostgresVariable) != "" {
		return m.Run()
	}
	c, err := startCluster(context.Background())
	if err == nil {
		defer c.stop()
		err = os.Setenv(PostgresVariable, c.url)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "The tests need a PostgreSQL server: run `make setup`, install PostgreSQL 13 or later (Debian: apt-get install postgresql-15), or set %s to the URL of one that may be used for tests: %v\n", PostgresVariable, err)
		return 1
	}
	return m.Run()
}

// Postgres answers the URL of a new, empty schema, which goes with the test. The
// package under test must bring the database/sql driver "pgx" along, and its
// TestMain must call Main.
func Postgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv(PostgresVariable)
	u, err := url.Parse(server)
	if err != nil || server == "" {
		t.Fatalf("%s holds no URL: does TestMain call storetest.Main?", PostgresVariable)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	schema := "test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), `CREATE SCHEMA `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), `DROP SCHEMA `+schema+` CASCADE`)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Errorf("dropping the test's schema: %v", err)
		}
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// cluster is a server of our own.
type cluster struct {
	dir, url, program string
	port              *port.Held // its own while the server goes and comes back
	user              *syscall.SysProcAttr
	server            *os.Process   // nil while it does not run
	ended             chan struct{} // closed when it has ended
}

// startCluster makes an empty database and starts a server for it.
func startCluster(ctx context.Context) (_ *cluster, err error) {
	bin, err := serverFolder()
	if err != nil {
		return nil, err
	}
	c := &cluster{program: filepath.Join(bin, "postgres")}
	if c.dir, err = os.MkdirTemp("", "grantry-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if c.user, err = serverUser(c.dir); err != nil {
		return nil, err
	}
	password, file := rand.Text(), filepath.Join(c.dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o644); err != nil { //nolint:gosec // the folder is the server's user's alone
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(c.dir, "data"), "-U", "grantry",
		"--auth=scram-sha-256", "--pwfile="+file, "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = c.dir, c.user
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a database: %w\n%s", err, out)
	}
	if c.port, err = port.Hold(ctx); err != nil {
		return nil, err
	}
	c.url = (&url.URL{
		Scheme: "postgres", User: url.UserPassword("grantry", password), Host: c.port.Addr(),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}).String()
	return c, c.start(ctx)
}

// start runs the server and waits until it answers.
func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if err := c.run(log); err != nil {
		return err
	}
	db, err := sql.Open("pgx", c.url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
			continue
		case <-c.ended:
		case <-ctx.Done():
		}
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("waiting for the server: %w\n%s", err, said)
	}
}

// run starts the server on a thread that lives as long as it does: it ends with the thread that started it.
func (c *cluster) run(log *os.File) error {
	cmd := exec.Command(c.program, "-D", filepath.Join(c.dir, "data"), "-p", c.port.Port, //nolint:noctx // it outlives the start
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.SysProcAttr = log, log, c.dir, c.user
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	c.server, c.ended = cmd.Process, ended
	return nil
}

// end sends the server a signal and waits for it.
func (c *cluster) end(signal os.Signal) {
	if c.server == nil {
		return
	}
	_ = c.server.Signal(signal)
	<-c.ended
	c.server = nil
}

// stop ends the server at once and removes its files.
func (c *cluster) stop() {
	c.end(syscall.SIGQUIT)
	_ = os.RemoveAll(c.dir)
	if c.port != nil {
		c.port.Release()
	}
}

// serverFolder is where initdb and postgres are: beside what the path's name of
// either leads to, or where Debian puts them.
func serverFolder() (string, error) {
	var found []string
	for _, name := range []string{"initdb", "postgres"} {
		if p, err := exec.LookPath(name); err == nil {
			if p, err = filepath.EvalSymlinks(p); err == nil {
				found = append(found, filepath.Dir(p))
			}
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, dir := range append(found, debian...) {
		_, noInitdb := os.Stat(filepath.Join(dir, "initdb"))
		_, noServer := os.Stat(filepath.Join(dir, "postgres"))
		if noInitdb == nil && noServer == nil {
			return dir, nil
		}
	}
	return "", errors.New("no initdb and postgres on this machine")
}
