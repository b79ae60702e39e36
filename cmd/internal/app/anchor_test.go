package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
	"github.com/grantry/grantry/vault"
)

// program is the program with a vault of its own that is anchored at to.
func program(t *testing.T, dir, to string, any bool) *app.App {
	t.Helper()
	file := filepath.Join(dir, "grantry.yaml")
	text := "keys: { source: \"file:" + filepath.Join(dir, "key") + "\" }\naudit: { anchor: \"" + to + "\" }\nlisten: 127.0.0.1:0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), config.Options{File: file, DataDir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Config: cfg, Version: "v1", AnyAnchor: any})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// live opens the vault, runs its background work for a moment, and stops.
func live(t *testing.T, a *app.App) (id string) {
	t.Helper()
	v, err := a.Vault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries := func() int64 {
		heads, err := v.AuditHeads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return vault.AuditReport{Streams: heads}.Entries()
	}
	before := entries()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = v.Run(ctx) })
	for end := time.Now().Add(10 * time.Second); entries() == before && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	cancel()
	done.Wait()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return v.ID()
}

// A process that stops leaves its last head in the file, for nobody else to
// read. A vault that is put back to before that, and one that is new, do not start with it.
func TestAnchorFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := filepath.Join(dir, "heads.log")
	live(t, program(t, dir, to, false))
	db := filepath.Join(dir, "data", "vault.db")
	old, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	id := live(t, program(t, dir, to, false))
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	marks, unread, err := app.ReadAnchor(to)
	last := marks[len(marks)-1]
	if err != nil || unread != 0 || last.Vault != id || last.Stream != "main" || last.Seq != 5 || len(last.MAC) != 64 {
		t.Fatalf("marks %+v, %d, %v", marks, unread, err)
	}
	if err := os.WriteFile(db, old, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		_, err := program(t, dir, to, false).Vault(t.Context())
		var usage *app.UsageError
		if !errors.As(err, &usage) || !strings.Contains(usage.Text, what) {
			t.Errorf("start = %v, want %q", err, what)
		}
	}
	refused("audit verify --accept")
	operator := program(t, dir, to, true)
	v, err := operator.Vault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.NewAnchorSegment(t.Context(), "accepted"); err != nil {
		t.Fatal(err)
	}
	if err := operator.Close(); err != nil {
		t.Fatal(err)
	}
	live(t, program(t, dir, to, false))
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	refused("for another vault")
}

// Whoever died in the middle of a line has spoilt that line only.
func TestTornAnchorLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := filepath.Join(dir, "heads.log")
	if err := os.WriteFile(to, []byte(`{"stream":"main","se`), 0o600); err != nil {
		t.Fatal(err)
	}
	live(t, program(t, dir, to, false))
	marks, unread, err := app.ReadAnchor(to)
	if err != nil || unread != 1 || len(marks) == 0 {
		t.Fatalf("%d marks, %d unread, %v", len(marks), unread, err)
	}
	live(t, program(t, dir, to, false))
}

// An address gets the same lines by POST, and is not followed elsewhere.
func TestAnchorAddress(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []vault.Mark
	elsewhere := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /heads", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for d := json.NewDecoder(r.Body); ; {
			var m vault.Mark
			if err := d.Decode(&m); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Error(err)
				break
			}
			got = append(got, m)
		}
		if r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("headers %v", r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { mu.Lock(); elsewhere++; mu.Unlock() })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	id := live(t, program(t, t.TempDir(), srv.URL+"/heads", false))
	live(t, program(t, t.TempDir(), srv.URL+"/moved", false))
	mu.Lock()
	defer mu.Unlock()
	if len(got) == 0 || got[len(got)-1].Vault != id || got[len(got)-1].Seq != 3 {
		t.Errorf("got %+v", got)
	}
	if elsewhere != 0 {
		t.Errorf("a redirect was followed %d times", elsewhere)
	}
}
