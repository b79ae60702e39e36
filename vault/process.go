package vault

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grantry/grantry/vault/seal"
)

const (
	lookEvery   = 2 * time.Second  // for keys to learn; on a server also the beat
	beatAlone   = 30 * time.Second // the beat in one machine, where each is a synced write and locks tell who lives
	silentAfter = 15 * time.Second // without a beat a process on a server counts as dead
	forgetAfter = time.Minute      // longer than a lease: until then a dead process's row is the proof of it
	forgetAlone = 24 * time.Hour   // where lock files are the proof
	leaveWithin = 5 * time.Second
)

// Process is a process that has this vault open for long: one-shot commands are not listed.
type Process struct {
	ID      string // Config.Instance
	Version string
	Keys    []seal.KeyID // that it holds
	Started time.Time
	Beat    time.Time // when it last said that it lives
	Live    bool      // false: it was killed, or on a server has been silent for 15 s
}

// process is this process's own row.
type process struct {
	mu      sync.Mutex
	started time.Time
	beat    time.Time    // of the last one written; zero = no row
	keys    []seal.KeyID // as they stand in the row
	left    bool
	missed  []seal.KeyID // that the log has complained of
}

// keepProcess has other processes know that this one lives and which keys it
// holds, and learns those that it will need.
func (v *Vault) keepProcess(ctx context.Context) {
	v.process.mu.Lock()
	v.process.started = v.cfg.Now()
	v.process.mu.Unlock()
	every(ctx, lookEvery, func(ctx context.Context) {
		if err := v.look(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("telling other processes that this one lives", "error", err)
		}
	})
}

// look learns the key that is to become active, before it does, and beats when it is time.
func (v *Vault) look(ctx context.Context) error {
	shared := false
	var wanted []seal.KeyID
	err := v.cfg.Store.View(ctx, func(tx Tx) error {
		now, err := tx.Vault().Now()
		shared, wanted = now != 0, nil
		for _, setting := range []string{settingKEK, settingNext} {
			if id, err := kek(tx, setting); err == nil {
				wanted = append(wanted, id)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range wanted {
		if !v.keyring.learn(ctx, id) && v.process.firstMiss(id) {
			v.log.Warn("the key source lacks a key of this vault: what is wrapped under it will not open here", "key", id.String())
		}
	}
	return v.beat(ctx, shared)
}

// beat writes this process's row if it is time, and removes rows of the dead.
func (v *Vault) beat(ctx context.Context, shared bool) error {
	p := &v.process
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := v.keyring.ids()
	if p.left || !shared && time.Since(p.beat) < beatAlone && slices.Equal(keys, p.keys) {
		return nil
	}
	stream := v.chain.held()
	err := v.store.Update(ctx, func(tx Tx) error {
		now, shared, err := v.clock(tx)
		if err != nil {
			return err
		}
		row := ProcessRow{
			ID: v.cfg.Instance, Version: v.cfg.Version, Keys: joinKeyIDs(keys), Stream: stream,
			Started: Millis(p.started), Beat: now,
		}
		if err := tx.Processes().Put(row); err != nil {
			return err
		}
		return v.forget(tx, now, shared)
	})
	if err == nil {
		p.beat, p.keys = time.Now(), keys
	}
	return err
}

// clock is the time that beats are on: the server's where there is one.
func (v *Vault) clock(tx Tx) (now int64, shared bool, err error) {
	if now, err = tx.Vault().Now(); err != nil || now != 0 {
		return now, true, err
	}
	return v.now(), false, nil
}

// forget removes the rows of processes that died. On a server it waits until no
// lease of theirs can run any more.
func (v *Vault) forget(tx Tx, now int64, shared bool) error {
	rows, err := tx.Processes().List()
	if err != nil {
		return err
	}
	for _, r := range rows {
		silent := time.Duration(now-r.Beat) * time.Millisecond
		gone := shared && silent > forgetAfter || !shared && (silent > forgetAlone || v.cfg.OwnerDead(r.ID))
		if !gone || r.ID == v.cfg.Instance {
			continue
		}
		if err := tx.Processes().Delete(r.ID); err != nil {
			return err
		}
	}
	return nil
}

// beatUntil keeps the row alive while the last refreshes commit.
func (v *Vault) beatUntil(done <-chan struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if v.process.listed() {
				_ = v.beat(context.Background(), true) // its row tells how long it has been silent
			}
		}
	}
}

// leave removes this process's row, once nothing of it is under way.
func (v *Vault) leave() error {
	p := &v.process
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left = true; p.beat.IsZero() {
		return nil
	}
	p.beat = time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWithin)
	defer cancel()
	if err := v.store.Update(ctx, func(tx Tx) error { return tx.Processes().Delete(v.cfg.Instance) }); err != nil {
		return fmt.Errorf("leaving the list of processes: %w", err)
	}
	return nil
}

func (p *process) firstMiss(id seal.KeyID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.missed, id) {
		return false
	}
	p.missed = append(p.missed, id)
	return true
}

func (p *process) listed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.beat.IsZero()
}

// ownerGone says whether the process that leased g will do no more with it, so
// that its lease can be taken over before it ends. What counts:
//
//   - its lock file, which nobody holds: it is dead, whatever the store says
//     (Config.OwnerDead; on the same machine only);
//   - on a server, 15 s in which it neither beat nor wrote this lease. That is
//     no proof of death. A process that was frozen, or cut off from the server,
//     may have sent its request and get an answer yet; the compare-and-swap on the
//     generation then keeps the first token set that is stored, and the other's
//     as the alternate.
//
// A missing row says nothing: a one-shot command never has one, and who leaves
// in good order has freed its leases before. Their leases run out.
func (v *Vault) ownerGone(tx Tx, g GrantRow) bool {
	if g.LeaseOwner == v.cfg.Instance {
		return false
	}
	if v.cfg.OwnerDead(g.LeaseOwner) {
		return true
	}
	now, err := tx.Vault().Now()
	if err != nil || now == 0 {
		return false
	}
	rows, err := tx.Processes().List()
	if err != nil {
		return false
	}
	i := slices.IndexFunc(rows, func(r ProcessRow) bool { return r.ID == g.LeaseOwner })
	return i >= 0 && now-max(rows[i].Beat, g.AttemptAt) > silentAfter.Milliseconds()
}

// Processes are those that have this vault open, the oldest first.
func (v *Vault) Processes(ctx context.Context) (list []Process, err error) {
	err = v.store.View(ctx, func(tx Tx) error { list, err = v.processes(tx); return err })
	return list, err
}

func (v *Vault) processes(tx Tx) ([]Process, error) {
	now, shared, err := v.clock(tx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Processes().List()
	if err != nil {
		return nil, err
	}
	list := make([]Process, len(rows))
	for i, r := range rows {
		dead := r.ID != v.cfg.Instance && v.cfg.OwnerDead(r.ID)
		list[i] = Process{
			ID: r.ID, Version: r.Version, Keys: keyIDs(r.Keys), Started: FromMillis(r.Started), Beat: FromMillis(r.Beat),
			Live: !dead && (!shared || now-r.Beat <= silentAfter.Milliseconds()),
		}
	}
	return list, nil
}
