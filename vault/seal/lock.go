package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lockEvery is how often a taken lock is tried again. A writer holds it for one
// synced write, or for an answer of a KMS.
const lockEvery = 10 * time.Millisecond

// lockBeside waits for the lock of what path names: path.lock, a file that stays,
// since a lock file that is removed can be held by two. It belongs to whom path
// belongs to, else root's would shut the owner out.
func lockBeside(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	info, err := os.Stat(path)
	if err == nil {
		err = giveTo(f, info)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = waitLock(ctx, f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking: %w", err), f.Close())
	}
	return f.Close, nil
}

func waitLock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok, err := tryLock(f); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
