package rescue_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault/rescue"
)

func open(t *testing.T, folder, instance string, log *slog.Logger) *rescue.Journal {
	t.Helper()
	j := rescue.New(folder, instance, log)
	if err := j.Ready(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func add(t *testing.T, j *rescue.Journal, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := j.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

// dead is the file of a process that was killed with these records in its journal:
// a copy, since a test cannot lose its own locks.
func dead(t *testing.T, folder string, records ...string) string {
	t.Helper()
	from := t.TempDir()
	j := open(t, from, "killed", nil)
	add(t, j, records...)
	raw, err := os.ReadFile(filepath.Join(from, "killed.journal"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "killed.journal")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replayed are the records of processes that are gone.
func replayed(t *testing.T, j *rescue.Journal) (got []string) {
	t.Helper()
	got, _ = handed(t, j)
	return got
}

func handed(t *testing.T, j *rescue.Journal) (gone, living []string) {
	t.Helper()
	err := j.Replay(func(r []byte, live bool) error {
		if live {
			living = append(living, string(r))
		} else {
			gone = append(gone, string(r))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return gone, living
}

// A dead process's records come back in their order, and its file goes; a living process's are shown, and stay.
func TestReplay(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "made [here]")
	living := open(t, folder, "living", nil)
	add(t, living, "not yours")
	path := dead(t, folder, "one", "", "three")
	j := open(t, folder, "next", nil)
	add(t, j, "my own")
	for _, want := range [][]string{{"one", "", "three"}, nil} {
		if gone, living := handed(t, j); !slices.Equal(gone, want) || !slices.Equal(living, []string{"not yours"}) {
			t.Errorf("replayed %q, and %q of the living", gone, living)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead process's journal: %v", err)
	}
	if got := replayed(t, j); len(got) > 0 {
		t.Errorf("replayed %q once more", got)
	}
	if err := living.Close(); err != nil { // with its record: the next process's matter
		t.Fatal(err)
	}
	if got := replayed(t, j); !slices.Equal(got, []string{"not yours"}) {
		t.Errorf("after its end: %q", got)
	}
}

// What could not be kept stays for the next time.
func TestReplayFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dead(t, folder, "one", "two")
	j := open(t, folder, "next", nil)
	no := errors.New("store is down")
	n := 0
	err := j.Replay(func(r []byte, _ bool) error {
		if n++; string(r) == "one" {
			return no
		}
		return nil
	})
	if !errors.Is(err, no) || n != 2 {
		t.Errorf("replay: %v after %d records", err, n)
	}
	if got := replayed(t, j); len(got) != 2 {
		t.Errorf("then %q", got)
	}
}

// A torn end is ignored; a changed byte costs its own record, and is logged.
func TestDamage(t *testing.T) {
	t.Parallel()
	const record = "no %d"
	want := []string{fmt.Sprintf(record, 1), fmt.Sprintf(record, 2), fmt.Sprintf(record, 3)}
	size := 8 + 4 + 4 + len(want[0]) + 4
	for at := range 3 * size {
		folder := t.TempDir()
		path := dead(t, folder, want...)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[at] ^= 0x10
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		j := open(t, folder, "next", slog.New(slog.NewTextHandler(&log, nil)))
		if got := replayed(t, j); !slices.Equal(got, slices.Delete(slices.Clone(want), at/size, at/size+1)) || log.Len() == 0 {
			t.Errorf("byte %d flipped: %q, log %q", at, got, log.String())
		}
	}
	for left := range size {
		folder := t.TempDir()
		path := dead(t, folder, want...)
		if err := os.Truncate(path, int64(2*size+left)); err != nil {
			t.Fatal(err)
		}
		if got := replayed(t, open(t, folder, "next", nil)); !slices.Equal(got, want[:2]) {
			t.Errorf("cut after %d bytes of the third: %q", left, got)
		}
	}
}

// The file is private, has its space before it is needed, grows, and holds nothing after Erase and Close.
func TestFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	j := open(t, folder, "p1", nil)
	path := filepath.Join(folder, "p1.journal")
	info, err := os.Stat(path)
	if err != nil || info.Size() < 256<<10 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("file %+v, %v", info, err)
	}
	big := bytes.Repeat([]byte("sealed"), 60000)
	for range 3 {
		if err := errors.Join(j.Append(big), j.Ready()); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Append(make([]byte, 5<<20)); !errors.Is(err, rescue.ErrTooLarge) {
		t.Errorf("5 MiB: %v", err)
	}
	if err := j.Erase(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || len(bytes.Trim(raw, "\x00")) > 0 || len(raw) < 256<<10 {
		t.Errorf("after Erase: %d bytes, %v", len(raw), err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
	if err := j.Ready(); err == nil {
		t.Error("a closed journal is ready")
	}
	if err := j.Append(nil); err == nil {
		t.Error("a closed journal takes records")
	}
}

// Processes that start and replay at the same time neither remove each other's journals nor lose or double a record.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dead(t, folder, "one", "two")
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	journals := make([]*rescue.Journal, 16)
	for i := range journals {
		wg.Go(func() {
			j := rescue.New(folder, fmt.Sprintf("p%d", i), nil)
			journals[i] = j
			err := errors.Join(j.Ready(), j.Append([]byte(fmt.Sprint(i))), j.Replay(func(r []byte, live bool) error {
				mu.Lock()
				defer mu.Unlock()
				if !live { // its process's, or in another's hands
					seen[string(r)]++
				}
				return nil
			}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(seen) != 2 || seen["one"] != 1 || seen["two"] != 1 {
		t.Errorf("replayed %v", seen)
	}
	for i, j := range journals {
		if raw, err := os.ReadFile(filepath.Join(folder, fmt.Sprintf("p%d.journal", i))); err != nil || !bytes.Contains(raw, []byte(fmt.Sprint(i))) {
			t.Errorf("journal %d: %v", i, err)
		}
		_ = j.Close()
	}
}

// Two processes cannot have one journal.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	open(t, folder, "p1", nil)
	if err := rescue.New(folder, "p1", nil).Ready(); err == nil {
		t.Error("a journal was opened twice")
	}
}

// A process that spends nothing leaves nothing behind, and can look for what others left.
func TestNothingSpent(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "rescue")
	j := rescue.New(folder, "p1", nil)
	if got := replayed(t, j); len(got) > 0 {
		t.Errorf("replayed %q", got)
	}
	if err := errors.Join(j.Erase(), j.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}
