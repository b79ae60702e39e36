package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
	runtime.LockOSThread() // the server ends with the thread that started it
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
	dir string
	url string
	cmd *exec.Cmd
}

func startCluster(ctx context.Context) (_ *cluster, err error) {
	bin, err := serverFolder()
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	if c.dir, err = os.MkdirTemp("", "grantry-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	user, err := serverUser(c.dir)
	if err != nil {
		return nil, err
	}
	password, file := rand.Text(), filepath.Join(c.dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o644); err != nil { //nolint:gosec // the folder is the server's user's alone
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(c.dir, "data"), "-U", "grantry",
		"--auth=scram-sha-256", "--pwfile="+file, "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = c.dir, user
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a database: %w\n%s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	c.url = (&url.URL{
		Scheme: "postgres", User: url.UserPassword("grantry", password), Host: net.JoinHostPort("127.0.0.1", port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}).String()
	return c, c.start(ctx, filepath.Join(bin, "postgres"), port, user)
}

// start runs the server and waits until it answers.
func (c *cluster) start(ctx context.Context, program, port string, user *syscall.SysProcAttr) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	c.cmd = exec.Command(program, "-D", filepath.Join(c.dir, "data"), "-p", port, //nolint:noctx // it outlives ctx
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir, c.cmd.SysProcAttr = log, log, c.dir, user
	if err := c.cmd.Start(); err != nil {
		c.cmd = nil
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
		case <-ctx.Done():
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("waiting for the server: %w\n%s", err, said)
		}
	}
}

// stop ends the server at once and removes its files.
func (c *cluster) stop() {
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		_ = c.cmd.Wait()
	}
	_ = os.RemoveAll(c.dir)
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

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return strconv.Itoa(port), l.Close()
}
