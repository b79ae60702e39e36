package vault

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// changes knows since which epoch people's rows are what they are: whether what was read
// of a person's at one epoch holds at the epoch that was followed last. It may say no
// where yes is true, and never the other way round: people who share a slot are taken to have
// changed together. Of those that follow there is one at a time.
type changes struct {
	seed  maphash.Seed
	last  func() []atomic.Int64 // by slot of a person: an epoch, not before the last change of theirs
	epoch atomic.Int64          // up to which all changes are known
	floor atomic.Int64          // nothing holds that was read before

	mu      sync.Mutex
	changed map[string]bool // people, for who reads their rows again
}

// changedMost bounds the people to read again.
const changedMost = 4096

func newChanges(slots int) *changes {
	return &changes{seed: maphash.MakeSeed(), last: sync.OnceValue(func() []atomic.Int64 { return make([]atomic.Int64, slots) })}
}

func (c *changes) of(user string) *atomic.Int64 {
	last := c.last()
	return &last[maphash.String(c.seed, user)%uint64(len(last))]
}

// follow learns what changed up to tx, which must be a write transaction: none is ahead of
// it. An epoch behind the one before thus is that of another store, as of a server
// that failed over without its last transactions, and nothing holds that was read of the first.
func (c *changes) follow(tx Tx) error {
	epoch, err := tx.Vault().Epoch()
	since := c.epoch.Load()
	if err != nil || epoch == since {
		return err
	}
	if epoch < since {
		c.raise(since + 1)
		c.epoch.Store(epoch)
		return nil
	}
	users, all, err := tx.Vault().Changed(since)
	if err != nil {
		return err
	}
	if all {
		c.raise(epoch)
	}
	for _, u := range users {
		c.of(u).Store(epoch)
	}
	c.epoch.Store(epoch)
	c.note(users)
	return nil
}

func (c *changes) note(users []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = map[string]bool{}
	}
	for _, u := range users {
		if len(c.changed) < changedMost {
			c.changed[u] = true
		}
	}
}

// take answers those whose rows changed since it was asked before.
func (c *changes) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	users := slices.Collect(maps.Keys(c.changed))
	c.changed = nil
	return users
}

// raise never lowers the floor: an epoch may come back, and what was read at it before does not.
func (c *changes) raise(floor int64) { c.floor.Store(max(floor, c.floor.Load())) }

// reached says whether an epoch was followed. Where one is ahead of a write transaction's, it is of
// another store, as of a server before it failed over without its last transactions.
func (c *changes) reached(epoch int64) bool { return epoch <= c.epoch.Load() }

// hold says whether what was read of user's at an epoch holds at the one that was followed last.
func (c *changes) hold(user string, epoch int64) bool {
	return c.reached(epoch) && epoch >= c.floor.Load() && epoch >= c.of(user).Load()
}
