//go:build unix

package seal_test

import (
	"bufio"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/seal"
)

func TestAppendKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		dir := t.TempDir()
		target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
		first, second := writeKey(t, target, mode), newKey(t)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		src := openSource(t, "file:"+link)
		appendTo(t, src, second)
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("the link became a file: %v", err)
		}
		info, err := os.Stat(target)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("mode %o became %o", mode, info.Mode().Perm())
		}
		if ids := keyIDs(t, src); len(ids) != 2 || ids[0] != first.ID() || ids[1] != second.ID() {
			t.Errorf("keys %v", ids)
		}
	}
}

// TestAppendKeepsTheOwner checks as root that a service can still read its file,
// and take its lock, after root added a key. As anybody else it checks that the
// file stays one's own.
func TestAppendKeepsTheOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	writeKey(t, path, 0o600)
	uid := os.Geteuid()
	if uid == 0 {
		uid = 65534
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, openSource(t, "file:"+path), newKey(t))
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid || info.Mode().Perm() != 0o600 {
			t.Errorf("%s belongs to %d with mode %o, want %d and 600", filepath.Base(name), got, info.Mode().Perm(), uid)
		}
	}
}

// TestAppendUnderASecretsMount refuses by the file's own name and behind a link.
func TestAppendUnderASecretsMount(t *testing.T) {
	t.Parallel()
	mount, outside := t.TempDir(), filepath.Join(t.TempDir(), "link")
	path := filepath.Join(mount, "key")
	key := writeKey(t, path, 0o600)
	if err := os.Symlink(path, outside); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, outside} {
		src, err := seal.OpenSource("file:"+name, seal.SourceOptions{LookupEnv: func(string) (string, bool) { return mount, true }})
		if err != nil {
			t.Fatal(err)
		}
		if err := src.(seal.Appender).Append(t.Context(), newKey(t)); !errors.Is(err, seal.ErrReadOnly) {
			t.Errorf("Append to %s: %v, want ErrReadOnly", filepath.Base(name), err)
		}
		if err := src.(seal.Remover).Remove(t.Context(), key.ID()); !errors.Is(err, seal.ErrReadOnly) {
			t.Errorf("Remove from %s: %v, want ErrReadOnly", filepath.Base(name), err)
		}
	}
}

func TestAppendByManyProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	first := writeKey(t, path, 0o600)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out, err := runChild(t, "append", "8,file:"+path); err != nil {
				t.Errorf("a process: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if ids := keyIDs(t, openSource(t, "file:"+path)); len(ids) != 33 || ids[0] != first.ID() {
		t.Errorf("%d keys, want 33 with the first in front", len(ids))
	}
}

// TestAppendKilled kills a process while it adds keys (R74): at every moment the
// file is whole and holds what was said to be durable, and the lock is free again.
func TestAppendKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	first := writeKey(t, path, 0o600)
	src := openSource(t, "file:"+path)
	durable := []string{first.ID().String()}
	for range 10 {
		durable = append(durable, killedWhileAppending(t, path)...)
		have := map[string]bool{}
		for _, id := range keyIDs(t, src) {
			have[id.String()] = true
		}
		for _, id := range durable {
			if !have[id] {
				t.Fatalf("key %s was durable and is lost", id)
			}
		}
	}
	if len(durable) < 11 {
		t.Errorf("%d keys only: the processes were killed before they did anything", len(durable))
	}
	removeFrom(t, src, first.ID())
}

// killedWhileAppending answers the ids that a process said were durable before it was killed.
func killedWhileAppending(t *testing.T, path string) (ids []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SEAL_TEST_CHILD=append", "SEAL_TEST_ARG=100,file:"+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		ids = append(ids, lines.Text())
		if len(ids) == 2 {
			time.Sleep(rand.N(3 * time.Millisecond))
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was done before it was killed")
	}
	return ids
}
