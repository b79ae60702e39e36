package sqlstore_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// write commits one small transaction; its setting is its own, so that pages do not repeat.
func write(t *testing.T, s vault.Store, i int) {
	t.Helper()
	err := s.Append(t.Context(), func(tx vault.Tx) error {
		return tx.Processes().Put(vault.ProcessRow{ID: "p" + string(rune('a'+i%26)), Keys: make([]byte, 2048), Stream: "main", Started: int64(i), Beat: int64(i)})
	})
	if err != nil {
		t.Error(err)
	}
}

func logSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestLogIsMoved: however much is written, beside readers that come and go, the log
// begins anew long before SQLite would see to it in a commit (64 MiB).
func TestLogIsMoved(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s := openStore(t, path)
	var over atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !over.Load() {
				time.Sleep(time.Millisecond)
				_ = s.View(t.Context(), func(tx vault.Tx) error { _, err := tx.Processes().List(); return err })
			}
		})
	}
	var most int64
	for i := range 10_000 { // some 20,000 pages
		write(t, s, i)
		if i%500 == 0 {
			most = max(most, logSize(t, path))
		}
	}
	over.Store(true)
	readers.Wait()
	t.Logf("the log had %d MiB at most", most>>20)
	if most > 32<<20 {
		t.Errorf("the log had %d bytes", most)
	}
}

// TestReaderThatStays keeps the log growing and nobody waiting; when it is gone, the log begins anew.
func TestReaderThatStays(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20 // to what SQLite cuts a log that begins anew
	path := newPath(t)
	s := openStore(t, path)
	write(t, s, 0)
	reads, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- s.View(t.Context(), func(tx vault.Tx) error {
			rows, err := tx.Processes().List()
			close(reads)
			<-leave
			again, errAgain := tx.Processes().List()
			if err == nil && errAgain == nil && (len(rows) != 1 || len(again) != 1) {
				t.Errorf("a reader sees %d rows and later %d", len(rows), len(again))
			}
			return err
		})
	}()
	<-reads
	for i := range 4000 {
		write(t, s, i)
	}
	kept := logSize(t, path)
	if kept <= limit {
		t.Fatalf("the log has %d bytes: the reader was not in its way", kept)
	}
	close(leave)
	if err := <-left; err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); logSize(t, path) > limit; {
		for i := range 300 {
			write(t, s, i)
		}
		if time.Now().After(end) {
			t.Fatalf("the log still has %d bytes", logSize(t, path))
		}
	}
}
