package vault

import (
	"cmp"
	"context"
	"errors"
	"sync"
)

// journal commits the entries of releases in groups: while one group syncs, the next one gathers.
type journal struct {
	mu   *sync.Mutex
	next *group
	turn chan struct{}
}

// group is a batch of entries that one transaction writes.
type group struct {
	members []*member
	done    chan struct{}
	err     error
}

// member is one entry of a group. before runs in the entry's own transaction;
// where it answers errMoved there is no entry, and the rest of the group goes on.
type member struct {
	entry  Entry
	before func(Tx) error
	err    error
}

func newJournal() journal {
	return journal{mu: new(sync.Mutex), turn: make(chan struct{}, 1)}
}

// commit answers when the entry is synced. A caller that goes away does not take the entry back.
func (j *journal) commit(ctx context.Context, v *Vault, e Entry, before func(Tx) error) error {
	m := &member{entry: e, before: before}
	j.mu.Lock()
	g := j.next
	leader := g == nil
	if leader {
		g = &group{done: make(chan struct{})}
		j.next = g
	}
	g.members = append(g.members, m)
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

func (j *journal) lead(ctx context.Context, v *Vault, g *group) {
	j.turn <- struct{}{}
	j.mu.Lock()
	j.next = nil
	j.mu.Unlock()
	g.err = v.store.Update(ctx, func(tx Tx) error { return g.write(tx, v) })
	<-j.turn
	close(g.done)
}

func (g *group) write(tx Tx, v *Vault) error {
	entries := make([]Entry, 0, len(g.members))
	for _, m := range g.members {
		if m.err = nil; m.before != nil {
			m.err = m.before(tx)
		}
		switch {
		case m.err == nil:
			entries = append(entries, m.entry)
		case !errors.Is(m.err, errMoved):
			return m.err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	return v.append(tx, entries...)
}
