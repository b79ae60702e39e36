//go:build unix

package fleet

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// fill is a full disk for this process alone: no file may grow beyond what the
// store's log has now. What was allocated before, as an emergency journal is, can be written.
func fill(store string) error {
	signal.Ignore(syscall.SIGXFSZ)
	log, err := os.Stat(store + "-wal")
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	return limitFiles(func(l *syscall.Rlimit) { l.Cur = uint64(log.Size()) })
}

// free makes room again.
func free() error { return limitFiles(func(l *syscall.Rlimit) { l.Cur = l.Max }) }

func limitFiles(set func(*syscall.Rlimit)) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return fmt.Errorf("reading the limit of files: %w", err)
	}
	set(&l)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return fmt.Errorf("limiting files: %w", err)
	}
	return nil
}
