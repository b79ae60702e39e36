package sqlstore_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
)

// fill puts rows of every kind into a store that has none, and goes on writing until ctx ends.
func fill(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	err := s.Update(t.Context(), func(tx vault.Tx) error {
		for _, key := range []string{"", "u"} {
			dek := []byte("dek of " + key)
			if err := tx.Users().Put(vault.UserRow{Key: key, DEK: dek}, vault.KeyRow{ID: dek, User: key, Wrapped: []byte("w")}); err != nil {
				return err
			}
		}
		if err := tx.Vault().SetSetting("vault_id", []byte{0, 1, 2}); err != nil {
			return err
		}
		return errors.Join(
			tx.Grants().Insert(vault.GrantRow{ID: "g1", User: "u", Connection: "c", AccountKey: "a", State: "active", AccessCT: []byte{0, 255}, Scopes: "ä b", IsDefault: true}),
			tx.Access().Put(vault.AccessRow{ID: "x", User: "u", Agent: "agent", Grant: "g1", AgentCT: []byte("ct")}),
			tx.Records().Put(vault.Record{Kind: "k", Hash: []byte("h"), Owner: "u", Value: []byte("v"), Version: 1, Expires: 10}, 1),
			tx.Audit().Append([]vault.AuditRow{{Stream: "main", Seq: 1, User: "u", Kind: "k", Body: []byte("b"), MAC: []byte("m")}}),
			tx.Processes().Put(vault.ProcessRow{ID: "p", Version: "1", Keys: []byte("k"), Stream: "main"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// held is all that a store has, but its home and its processes.
type held struct {
	Grants    []vault.GrantRow
	Access    []vault.AccessRow
	Records   []vault.Record
	Audit     []vault.AuditRow
	User      vault.UserRow
	Key       vault.KeyRow
	ID, Home  string
	Processes int
}

func holds(t *testing.T, s *sqlstore.Store) (h held) {
	t.Helper()
	err := s.View(t.Context(), func(tx vault.Tx) error {
		var errs [9]error
		h.Grants, errs[0] = tx.Grants().List(vault.GrantFilter{})
		h.Access, errs[1] = tx.Access().List("u")
		h.Records, errs[2] = tx.Records().List("k", "u", 1)
		h.Audit, errs[3] = tx.Audit().Read("main", 1, 1000000)
		h.User, errs[4] = tx.Users().Get("u")
		h.Key, errs[5] = tx.Keys().Get(h.User.DEK)
		id, err := tx.Vault().Setting("vault_id")
		errs[6], h.ID = err, string(id)
		home, err := tx.Vault().Setting(vault.HomeSetting)
		if !errors.Is(err, vault.ErrNotFound) {
			errs[7] = err
		}
		h.Home = string(home)
		ps, err := tx.Processes().List()
		errs[8], h.Processes = err, len(ps)
		return errors.Join(errs[:]...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A backup of either kind of store holds all rows, is marked as a copy, and is private.
func TestBackup(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		s := openStore(t, place)
		fill(t, s)
		path := filepath.Join(t.TempDir(), "vault.backup")
		told := int64(-1)
		if err := s.Backup(t.Context(), path, func(done, total int64) { told = total - done }); err != nil {
			t.Fatal(err)
		}
		if told != 0 {
			t.Errorf("told of %d to go at the end", told)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
			t.Errorf("%d files were left", len(names))
		}
		if err := sqlstore.CheckFile(t.Context(), path); err != nil {
			t.Error(err)
		}
		want, got := holds(t, s), holds(t, openStore(t, path))
		want.Home, want.Processes = vault.CopyMark, 0
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if err := s.Backup(t.Context(), path, nil); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a file that is there: %v", err)
		}
	})
}

// Copy moves a vault between stores of both kinds, and only into an empty one.
func TestCopyBetweenStores(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, place string) {
		from, to := openStore(t, newPath(t)), openStore(t, place)
		fill(t, from)
		if err := sqlstore.Copy(t.Context(), to, from, nil); err != nil {
			t.Fatal(err)
		}
		want := holds(t, from)
		want.Home, want.Processes = vault.CopyMark, 0
		if d := cmp.Diff(want, holds(t, to)); d != "" {
			t.Error(d)
		}
		if err := sqlstore.Copy(t.Context(), to, from, nil); !errors.Is(err, vault.ErrConflict) {
			t.Errorf("into a store that has a vault: %v", err)
		}
	})
}

// A backup that fails, here for want of time, leaves nothing.
func TestFailedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, newPath(t))
	fill(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "b")
	if err := s.Backup(ctx, path, nil); err == nil {
		t.Error("a cancelled backup is one")
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 0 {
		t.Errorf("%d files were left", len(names))
	}
}

// A backup that is made while four processes write is one moment of the vault:
// audit and grant agree in it, and the writers are not held up.
func TestBackupWhileProcessesWrite(t *testing.T) {
	t.Parallel()
	place := newPath(t)
	s := openStore(t, place)
	var wg sync.WaitGroup
	var stop atomic.Bool
	var processes []*exec.Cmd
	defer func() {
		for _, cmd := range processes {
			_ = cmd.Process.Kill()
		}
		wg.Wait()
		for _, cmd := range processes {
			_ = cmd.Wait()
		}
	}()
	defer stop.Store(true)
	for range 4 {
		cmd := childCommand(t, "forever", place, "")
		said, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := said.Read(make([]byte, 1)); err != nil { // it has written
			t.Fatal(err)
		}
		wg.Go(func() { _, _ = io.Copy(io.Discard, said) })
		processes = append(processes, cmd)
	}
	wg.Go(func() {
		for !stop.Load() {
			_ = s.Check(t.Context())
		}
	})
	last := int64(0)
	for range 5 {
		path := filepath.Join(t.TempDir(), "b")
		if err := s.Backup(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		if err := sqlstore.CheckFile(t.Context(), path); err != nil {
			t.Error(err)
		}
		copied := openStore(t, path)
		var head int64
		err := copied.View(t.Context(), func(tx vault.Tx) (err error) { head, _, err = tx.Audit().Head("main"); return err })
		if err != nil || head < last {
			t.Errorf("head %d after %d, %v", head, last, err)
		}
		last = head
	}
	if last == 0 {
		t.Error("the processes wrote nothing meanwhile: the test shows nothing")
	}
}

// CheckFile refuses what is no vault, newer, or damaged.
func TestCheckFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.CheckFile(t.Context(), text); !errors.Is(err, sqlstore.ErrNotVault) {
		t.Errorf("a text: %v", err)
	}
	s := openStore(t, newPath(t))
	fill(t, s)
	path := filepath.Join(dir, "b")
	if err := s.Backup(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 4; i < len(data); i++ {
		data[i] ^= 0x5a
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.CheckFile(t.Context(), path); !errors.Is(err, sqlstore.ErrCorrupt) {
		t.Errorf("a damaged backup: %v", err)
	}
}

// Replace keeps the old file with all that was in its log, and asks first.
func TestReplace(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	old := openStore(t, path)
	fill(t, old)
	with := filepath.Join(filepath.Dir(path), "new")
	if err := old.Backup(t.Context(), with, nil); err != nil {
		t.Fatal(err)
	}
	if err := old.Update(t.Context(), func(tx vault.Tx) error { return tx.Vault().SetSetting("later", []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	keep, busy := path+".before-restore", errors.New("in use")
	if err := sqlstore.Replace(t.Context(), path, with, keep, func() error { return busy }); !errors.Is(err, busy) {
		t.Fatalf("while it is in use: %v", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.Replace(t.Context(), path, with, keep, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]bool{keep: true, path: false} {
		err := openStore(t, place).View(t.Context(), func(tx vault.Tx) error { _, err := tx.Vault().Setting("later"); return err })
		if (err == nil) != want {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// Home stays through a rename and another opening, and is another for a copy.
func TestHome(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	home := func(path string) string {
		s := openStore(t, path)
		h, err := s.Home(t.Context())
		if err != nil || len(h) == 0 {
			t.Fatalf("%x, %v", h, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	first := home(path)
	if home(path) != first {
		t.Error("another home at the second opening")
	}
	moved := filepath.Join(filepath.Dir(path), "moved.db")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if home(moved) != first {
		t.Error("another home after a rename")
	}
	data, err := os.ReadFile(moved)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if home(path) == first {
		t.Error("a copy has the same home")
	}
}

// A server is known by cluster, database and table: tables that were made again are a copy.
func TestHomeOnPostgres(t *testing.T) {
	t.Parallel()
	place := storetest.Postgres(t)
	s, again := openStore(t, place), openStore(t, place)
	first, err := s.Home(t.Context())
	if err != nil || len(first) == 0 {
		t.Fatalf("%x, %v", first, err)
	}
	if h, err := again.Home(t.Context()); err != nil || string(h) != string(first) {
		t.Errorf("another home for another process: %x, %v", h, err)
	}
	other, err := openStore(t, storetest.Postgres(t)).Home(t.Context())
	if err != nil || string(other) == string(first) {
		t.Errorf("another database has the same home: %v", err)
	}
	if err := s.Shred(t.Context(), nil); !errors.Is(err, vault.ErrStillOnDisk) {
		t.Errorf("a server promises what it cannot keep: %v", err)
	}
}
