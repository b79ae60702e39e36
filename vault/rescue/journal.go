package rescue

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	suffix = ".journal"
	// chunk is how many bytes are there, written and synced, before anything is spent.
	chunk = 256 << 10
)

// ErrTooLarge says that a record is over 4 MiB.
var ErrTooLarge = errors.New("record too large")

// errInUse says that another process holds a journal.
var errInUse = errors.New("another process has it")

// Journal is the emergency journal of one process. It is safe for concurrent use.
type Journal struct {
	folder string
	name   string // of the file
	log    *slog.Logger

	mu     turn
	file   *os.File // nil until it is needed
	closed bool
	end    int64 // where the next record begins
	size   int64 // up to where there is space
}

// New is the journal of this process, folder/instance.journal. Instance must be
// unique among those that share the folder. A nil log means none. Files are touched
// when something is about to be spent: a process that never refreshes makes none.
func New(folder, instance string, log *slog.Logger) *Journal {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Journal{folder: folder, name: filepath.Base(instance) + suffix, log: log, mu: make(turn, 1)}
}

// turn is a mutex whose holder may sleep (hold does): in a bubble of
// testing/synctest time stands still while somebody waits for a sync.Mutex, and the holder would never wake up.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// open makes folder (0700) and file, where they are not there yet.
func (j *Journal) open() (err error) {
	switch {
	case j.closed:
		return os.ErrClosed
	case j.file != nil:
		return nil
	}
	if err := os.MkdirAll(j.folder, 0o700); err != nil {
		return err
	}
	if j.file, err = hold(filepath.Join(j.folder, j.name)); err != nil {
		return err
	}
	return errors.Join(j.file.Chmod(0o600), syncFolder(j.folder))
}

// hold makes a file and takes its lock. A replay that sees it in between takes
// it for a dead process's, and removes it: then it is made once more.
func hold(path string) (*os.File, error) {
	for range 100 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		ok, err := tryLock(f)
		if ok && err == nil && there(f) {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errInUse
}

// there says whether f is what its name names, and nothing is in it.
func there(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil || mine.Size() > 0 {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(mine, named)
}

// reserve has a chunk of zeros, on disk, behind the last record.
func (j *Journal) reserve() error {
	want := j.end + chunk
	if j.size >= want {
		return nil
	}
	if _, err := j.file.WriteAt(make([]byte, want-j.size), j.size); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.size = want
	return nil
}

// Ready says that 256 KiB of records would find their place now.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.open()
	if err == nil {
		err = j.reserve()
	}
	if err != nil {
		return fmt.Errorf("preparing emergency journal: %w", err)
	}
	return nil
}

// Append writes a record; when it answers nil the record is on disk. ErrTooLarge for one over 4 MiB.
func (j *Journal) Append(record []byte) error {
	if len(record) > maxRecord {
		return ErrTooLarge
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.open(); err != nil {
		return fmt.Errorf("writing emergency journal: %w", err)
	}
	b := frame(record)
	if _, err := j.file.WriteAt(b, j.end); err != nil {
		return fmt.Errorf("writing emergency journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("writing emergency journal: %w", err)
	}
	j.end += int64(len(b))
	j.size = max(j.size, j.end)
	return nil
}

// Erase forgets this process's records: all of them are stored.
func (j *Journal) Erase() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.end == 0 {
		return nil
	}
	if err := j.empty(); err != nil {
		return fmt.Errorf("erasing emergency journal: %w", err)
	}
	return nil
}

func (j *Journal) empty() error {
	if err := errors.Join(j.file.Truncate(0), j.file.Sync()); err != nil {
		return err
	}
	j.end, j.size = 0, 0
	return j.reserve()
}

// Replay hands the records of other processes to keep, each journal's oldest first,
// and removes the journal of one that is gone when keep answered nil for each of its
// records. Where it did not, the journal stays for the next time, and its error is part of the answer.
// The journal of a living process stays its own: live says that a record is from one.
func (j *Journal) Replay(keep func(record []byte, live bool) error) error {
	names, err := os.ReadDir(j.folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing emergency journals: %w", err)
	}
	var errs []error
	for _, n := range names {
		if strings.HasSuffix(n.Name(), suffix) && n.Name() != j.name {
			errs = append(errs, j.replay(filepath.Join(j.folder, n.Name()), keep))
		}
	}
	return errors.Join(errs...)
}

func (j *Journal) replay(name string, keep func([]byte, bool) error) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // replayed by somebody else
	}
	if err != nil {
		return fmt.Errorf("opening emergency journal: %w", err)
	}
	defer f.Close()
	gone, err := tryLock(f)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("reading emergency journal: %w", err)
	}
	all, bad := records(raw)
	if bad > 0 && gone { // a living one may be in the middle of a record
		j.log.Error("part of an emergency journal does not read: if a refreshed grant was in it, it is lost", "journal", filepath.Base(name), "places", bad)
	}
	var errs []error
	for _, r := range all {
		errs = append(errs, keep(r, !gone))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("replaying emergency journal: %w", err)
	}
	if !gone {
		return nil
	}
	return discard(f)
}

// discard empties a journal and removes it: its blocks hold nothing when they go back.
func discard(f *os.File) error {
	if err := errors.Join(f.Truncate(0), f.Sync()); err != nil {
		return fmt.Errorf("erasing emergency journal: %w", err)
	}
	return remove(f)
}

// Close ends the journal, and removes its file unless records are left: those
// are for the next process. It takes nothing afterwards; closing twice is no error.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	f := j.file
	if j.closed = true; f == nil {
		return nil
	}
	j.file = nil
	if j.end > 0 {
		return f.Close()
	}
	if err := errors.Join(discard(f), f.Close()); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
