package storetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"
)

// Server is a PostgreSQL server of one test, which may take it away and bring it
// back. Where PostgresVariable names a server and this machine has no programs for
// one of our own, that server is used: then all that goes are the test's connections.
type Server struct {
	// URL is that of an empty schema.
	URL string

	own *cluster // nil on a server that is not ours
}

// NewServer starts a server that ends with the test.
func NewServer(t *testing.T) *Server {
	t.Helper()
	_, err := serverFolder()
	if err != nil && os.Getenv(PostgresVariable) != "" {
		u, err := url.Parse(Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("application_name", q.Get("search_path")) // by which the test's connections are known
		u.RawQuery = q.Encode()
		return &Server{URL: u.String()}
	}
	c, err := startCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return &Server{URL: c.url, own: c}
}

// Shutdown ends the server as its operator does who is in a hurry: every
// connection is cut, what was committed is written.
func (s *Server) Shutdown(t *testing.T) {
	t.Helper()
	s.end(t, syscall.SIGINT)
}

// Kill ends the server as a power cut would, but for what the disk had in its cache.
func (s *Server) Kill(t *testing.T) {
	t.Helper()
	s.end(t, os.Kill)
}

func (s *Server) end(t *testing.T, signal os.Signal) {
	t.Helper()
	if s.own != nil {
		s.own.end(signal)
		return
	}
	db, err := sql.Open("pgx", s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()`
	if _, err := db.ExecContext(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
}

// Start brings the server back, at the address that it had.
func (s *Server) Start(t *testing.T) {
	t.Helper()
	if s.own == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startLimit)
	defer cancel()
	for { // what a killed server leaves behind takes a moment to go
		err := s.own.start(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}
