package sqlstore

import (
	"context"
	"time"
)

const lockPoll = 20 * time.Millisecond

// lockFile takes the lock file for this process, waiting as long as ctx allows.
// The file stays when the lock goes: removing it would let two processes hold one each.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		ok, err := tryLock(f)
		if ok {
			return func() { _ = f.Close() }, nil // closing frees the lock
		}
		if err == nil {
			select {
			case <-poll.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		_ = f.Close()
		return nil, err
	}
}
