package instance_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/instance"
)

// A process is dead when its lock can be taken, and only then: neither while it
// holds it, nor where there is no file.
func TestDead(t *testing.T) {
	t.Parallel()
	f := instance.Folder(filepath.Join(t.TempDir(), "run"))
	lock, err := f.Hold("one")
	if err != nil {
		t.Fatal(err)
	}
	if f.Dead("one") {
		t.Error("a process that holds its lock counts as dead")
	}
	if f.Dead("another-machine") {
		t.Error("a process without a file counts as dead")
	}
	if _, err := f.Hold("one"); err == nil {
		t.Error("two processes hold one lock")
	}
	if err := lock.Close(); err != nil { // as the system does when a process ends
		t.Fatal(err)
	}
	if !f.Dead("one") {
		t.Error("a process whose lock is free counts as alive")
	}
}

// Files of processes that died a day ago go with the next start; younger ones may be named by a lease.
func TestHoldSweeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := instance.Folder(dir)
	for _, id := range []string{"old", "young"} {
		lock, err := f.Hold(id)
		if err != nil {
			t.Fatal(err)
		}
		_ = lock.Close()
	}
	past := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "old.lock"), past, past); err != nil {
		t.Fatal(err)
	}
	lock, err := f.Hold("new")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(dir, "old.lock")); !os.IsNotExist(err) {
		t.Errorf("the old file: %v", err)
	}
	if !f.Dead("young") {
		t.Error("the young file is gone")
	}
}
