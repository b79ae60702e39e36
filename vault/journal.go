package vault

import (
	"cmp"
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"time"
)

const (
	// syncAfter is when appended entries are synced: the store wants it within 250 ms.
	syncAfter = 200 * time.Millisecond
	// usesMax bounds the notes of last use between two syncs; what finds no room is noted at its
	// next use. A group takes usesByTheWay of them along, and a transaction of their own usesAtOnce:
	// more than that would keep releases waiting.
	usesMax      = 32
	usesByTheWay = 1
	usesAtOnce   = 8
)

// journal commits the entries of releases in groups: while one group is written,
// the next one gathers. A group is committed when its tokens leave: whatever
// becomes of this process, the entries stay. The disk has them up to 250 ms later,
// so that a crash of the whole machine, and only that, can lose the entries of
// so long; the number up to which they are known to be there is in the setting
// audit_synced/STREAM. Where syncing fails, and after Close, each group is synced by itself.
type journal struct {
	turn sync.Mutex // of the group that is written

	mu     sync.Mutex
	next   *group
	asked  int64            // entries so far
	due    bool             // a sync is on its way
	uses   map[string]int64 // by access id: last uses to write
	noted  int              // uses since the last sync
	strict bool             // groups must sync themselves
	closed bool
	wait   time.Duration // until a failed sync is tried again

	syncing sync.Mutex
}

// group is a batch of entries that one transaction writes.
type group struct {
	members []*member
	synced  bool // one of them changes a row
	done    chan struct{}
	err     error
}

// member is one entry of a group. holds runs in the entry's own transaction, with
// all changes before it known; where its error is of this member alone there is no entry, and
// the rest of the group goes on.
type member struct {
	entry  Entry
	holds  func(tx Tx) error
	synced bool // holds changes a row
	err    error
}

// commit answers when the entry is committed. A caller that goes away does not take the entry back.
func (j *journal) commit(ctx context.Context, v *Vault, m *member) error {
	j.mu.Lock()
	j.asked++
	g := j.next
	leader := g == nil
	if leader {
		g = &group{done: make(chan struct{})}
		j.next = g
	}
	g.members = append(g.members, m)
	g.synced = g.synced || m.synced
	j.mu.Unlock()
	if leader {
		go j.lead(context.WithoutCancel(ctx), v, g)
	}
	select {
	case <-g.done:
		return cmp.Or(g.err, m.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count is how many entries there were to write so far.
func (j *journal) count() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.asked
}

func (j *journal) lead(ctx context.Context, v *Vault, g *group) {
	j.turn.Lock()
	runtime.Gosched() // those whom the last group has just woken ask again first: groups of one would cost a transaction each
	j.mu.Lock()
	j.next = nil
	synced := g.synced || j.strict
	uses := j.takeUses(usesByTheWay)
	j.mu.Unlock()
	write := v.store.Append
	if synced {
		write = v.store.Update
	}
	g.err = write(ctx, func(tx Tx) error {
		if err := g.write(tx, v); err != nil {
			return err
		}
		return touch(tx, uses)
	})
	j.turn.Unlock()
	if g.err == nil && !synced {
		j.mu.Lock()
		j.syncLater(v)
		j.mu.Unlock()
	}
	close(g.done)
}

func (g *group) write(tx Tx, v *Vault) error {
	if err := v.changes.follow(tx); err != nil {
		return err
	}
	entries := make([]Entry, 0, len(g.members))
	for _, m := range g.members {
		if m.err = nil; m.holds != nil {
			m.err = m.holds(tx)
		}
		switch {
		case m.err == nil:
			entries = append(entries, m.entry)
		case !alone(m.err):
			return m.err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return v.append(tx, entries...)
}

// use has it written soon when an access was used, and says whether there was room for that.
func (j *journal) use(v *Vault, access string, at int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.noted >= usesMax {
		return false
	}
	j.noted++
	if j.uses == nil {
		j.uses = map[string]int64{}
	}
	j.uses[access] = at
	j.syncLater(v)
	return true
}

// takeUses is for whoever holds mu.
func (j *journal) takeUses(most int) map[string]int64 {
	var some map[string]int64
	for id, at := range j.uses {
		if len(some) == most {
			break
		}
		if some == nil {
			some = map[string]int64{}
		}
		some[id] = at
		delete(j.uses, id)
	}
	return some
}

func touch(tx Tx, uses map[string]int64) error {
	for id, at := range uses {
		if err := unless(ErrConflict, tx.Access().Touch(id, "", "", at)); err != nil {
			return err // an access that is gone is none
		}
	}
	return nil
}

// syncLater is for whoever holds mu.
func (j *journal) syncLater(v *Vault) {
	if !j.due {
		j.due = true
		time.AfterFunc(syncAfter, func() { _ = j.sync(v) })
	}
}

// sync writes the number of the last entry in a synced transaction, which takes
// all entries before it along to the disk, and then what is left of the last uses.
func (j *journal) sync(v *Vault) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	due := j.due
	j.due, j.noted = false, 0
	j.mu.Unlock()
	if !due {
		return nil
	}
	err := v.store.Update(context.Background(), v.markSynced)
	if err == nil {
		err = j.writeUses(v)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.strict = j.closed || err != nil; err == nil {
		j.wait = 0
		return nil
	}
	v.log.Warn("syncing the audit", "error", err)
	if !j.closed {
		j.due, j.wait = true, min(max(2*j.wait, syncAfter), keepPause)
		time.AfterFunc(j.wait, func() { _ = j.sync(v) })
	}
	return err
}

// close syncs what is not synced yet.
func (j *journal) close(v *Vault) error {
	j.mu.Lock()
	j.closed, j.strict = true, true
	j.mu.Unlock()
	return j.sync(v)
}

func (v *Vault) markSynced(tx Tx) error {
	stream := v.chain.stream()
	seq, _, err := tx.Audit().Head(stream)
	if err != nil {
		return err
	}
	return tx.Vault().SetSetting(settingSynced+stream, binary.BigEndian.AppendUint64(nil, uint64(seq)))
}

// writeUses writes the last uses that no group has taken along.
func (j *journal) writeUses(v *Vault) error {
	for {
		j.mu.Lock()
		some := j.takeUses(usesAtOnce)
		j.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		err := v.store.Append(context.Background(), func(tx Tx) error { return touch(tx, some) }) // what a crash of the machine takes is noted at the next use
		if err != nil {
			return err
		}
	}
}
