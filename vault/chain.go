package vault

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Stream is the name of the audit chain of a store that one file holds, and of
// the first process on a server.
const Stream = "main"

const (
	settingOpen   = "audit_open"    // JSON: the processes that have begun and not ended
	settingSynced = "audit_synced/" // + stream: the last number known to be on the disk, 8 bytes

	chainTick  = time.Second
	noteEvery  = time.Hour       // the heads of the other streams
	lostAfter  = 5 * time.Minute // a process that has begun and says nothing for so long is gone
	stopWithin = 3 * time.Second // to anchor the last head: who stops does not wait for long
)

// chain is the audit stream that this process writes, and what it has said in it.
type chain struct {
	name     atomic.Pointer[string]
	appended atomic.Int64

	mu           sync.Mutex
	begun, ended bool
	noted        time.Time        // when heads of other streams were written
	others       map[string]int64 // and which those were
	anchoring    anchoring
}

func (c *chain) stream() string {
	if name := c.name.Load(); name != nil {
		return *name
	}
	return Stream
}

// held is the stream that this process has begun on, "" before that: until then it may take another.
func (c *chain) held() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		return ""
	}
	return c.stream()
}

// pickStream takes the first stream that no other living process of a server
// writes; a store in one file has one. Two that meet on a stream do no harm: an
// append goes on from the head that its own transaction sees.
func (v *Vault) pickStream(tx Tx) error {
	now, shared, err := v.clock(tx)
	if err != nil || !shared {
		return err
	}
	open, _, err := v.openProcesses(tx)
	if err != nil {
		return err
	}
	rows, err := tx.Processes().List()
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	known := map[string]bool{v.cfg.Instance: true}
	for _, p := range open {
		taken[p.Stream], known[p.Instance] = true, true
	}
	for _, p := range rows { // a row may be a beat behind what its process has said in the chain
		taken[p.Stream] = taken[p.Stream] || !known[p.ID] && now-p.Beat < forgetAfter.Milliseconds()
	}
	name := Stream
	for n := 2; taken[name]; n++ {
		name = Stream + "-" + strconv.Itoa(n)
	}
	v.chain.name.Store(&name)
	return nil
}

// AuditHead is the last entry of a stream at some time; Seq 0 and no MAC stand for an empty one.
type AuditHead struct {
	Stream string
	Seq    int64
	MAC    []byte // 32 bytes
}

// AuditHeads are the heads of all streams, by name.
func (v *Vault) AuditHeads(ctx context.Context) (heads []AuditHead, err error) {
	err = v.store.View(ctx, func(tx Tx) error { heads, err = v.heads(tx); return err })
	return heads, err
}

func (v *Vault) heads(tx Tx) ([]AuditHead, error) {
	names, err := tx.Audit().Streams()
	if err != nil {
		return nil, fmt.Errorf("listing audit streams: %w", err)
	}
	heads := make([]AuditHead, len(names))
	for i, name := range names {
		heads[i].Stream = name
		if heads[i].Seq, heads[i].MAC, err = tx.Audit().Head(name); err != nil {
			return nil, fmt.Errorf("reading audit head: %w", err)
		}
	}
	return heads, nil
}

// keepChain writes that this process has begun, and from then on the heads of
// the other streams once an hour, and anchors.
func (v *Vault) keepChain(ctx context.Context) {
	failing := false
	every(ctx, chainTick, func(ctx context.Context) {
		err := errors.Join(v.begin(ctx), v.noteHeads(ctx))
		if err != nil && !failing && ctx.Err() == nil {
			v.log.Warn("writing the audit's own entries", "error", err)
		}
		failing = err != nil
		v.anchorWhenDue(ctx)
	})
}

// openProcess is a process that has begun and not ended.
type openProcess struct {
	Instance string `json:"instance"`
	Stream   string `json:"stream"`
	Started  int64  `json:"started"`
}

// begin writes the entry of this process's start, once. It carries the heads of
// all streams; after an unclean stop also the numbers that are known to have
// been synced, so that a crash is not taken for a cut.
func (v *Vault) begin(ctx context.Context) error {
	c := &v.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun || c.ended {
		return nil
	}
	err := v.store.Update(ctx, func(tx Tx) error {
		if err := v.pickStream(tx); err != nil { // again: two may have opened the vault at once
			return err
		}
		now, _, err := v.clock(tx)
		if err != nil {
			return err
		}
		open, gone, err := v.openProcesses(tx)
		if err != nil {
			return err
		}
		e := Entry{Kind: "process.started", version: v.cfg.Version}
		if e.heads, err = v.notes(tx, len(gone) > 0); err != nil {
			return err
		}
		if len(gone) > 0 {
			e.Reason = "unclean_stop"
		}
		news, err := v.configNews(tx)
		if err != nil {
			return err
		}
		open = append(open, openProcess{Instance: v.cfg.Instance, Stream: c.stream(), Started: now})
		return errors.Join(v.setOpen(tx, open), v.append(tx, append([]Entry{e}, news...)...), v.setSynced(tx, c.stream()))
	})
	c.begun, c.noted = err == nil, v.cfg.Now()
	return err
}

// endChain writes that this process stops, if it wrote that it had begun, and anchors the last head.
func (v *Vault) endChain(ctx context.Context) error {
	c := &v.chain
	c.mu.Lock()
	begun := c.begun && !c.ended
	c.ended = true
	c.mu.Unlock()
	if !begun {
		return nil
	}
	err := v.store.Update(ctx, func(tx Tx) error {
		open, _, err := v.openProcesses(tx)
		if err != nil {
			return err
		}
		e := Entry{Kind: "process.stopped"}
		if e.heads, err = v.notes(tx, false); err != nil {
			return err
		}
		return errors.Join(v.setOpen(tx, open), v.append(tx, e))
	})
	if err != nil {
		return fmt.Errorf("writing the audit entry of the stop: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	v.anchor(ctx)
	return nil
}

// openProcesses are the other processes that have begun and not ended: those that may live yet, and those that are gone.
func (v *Vault) openProcesses(tx Tx) (open, gone []openProcess, err error) {
	raw, err := tx.Vault().Setting(settingOpen)
	if err != nil {
		return nil, nil, unless(ErrNotFound, err)
	}
	var all []openProcess
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, nil, fmt.Errorf("reading the open processes: %w", err)
	}
	now, _, err := v.clock(tx)
	if err != nil {
		return nil, nil, err
	}
	rows, err := tx.Processes().List()
	if err != nil {
		return nil, nil, err
	}
	for _, p := range all {
		switch {
		case p.Instance == v.cfg.Instance:
		case v.cfg.OwnerDead(p.Instance) || p.silentSince(rows) < now-lostAfter.Milliseconds():
			gone = append(gone, p)
		default:
			open = append(open, p)
		}
	}
	return open, gone, nil
}

// silentSince is when a process was last heard of: its lock file may be on
// another machine, or swept with those of long ago.
func (p openProcess) silentSince(rows []ProcessRow) int64 {
	last := p.Started
	for _, r := range rows {
		if r.ID == p.Instance {
			last = max(last, r.Beat)
		}
	}
	return last
}

func (v *Vault) setOpen(tx Tx, open []openProcess) error {
	raw, err := json.Marshal(open)
	if err != nil {
		return err
	}
	return tx.Vault().SetSetting(settingOpen, raw)
}

// notes are the heads of all streams as an entry carries them, with what was synced where that is asked for.
func (v *Vault) notes(tx Tx, synced bool) ([]headNote, error) {
	heads, err := v.heads(tx)
	if err != nil {
		return nil, err
	}
	notes := make([]headNote, len(heads))
	for i, h := range heads {
		notes[i] = headNote{Stream: h.Stream, Seq: h.Seq, MAC: h.MAC}
		if !synced {
			continue
		}
		raw, err := tx.Vault().Setting(settingSynced + h.Stream)
		if err := unless(ErrNotFound, err); err != nil {
			return nil, err
		}
		if len(raw) == 8 {
			notes[i].Synced = int64(binary.BigEndian.Uint64(raw))
		}
	}
	return notes, nil
}

// noteHeads writes the heads of the other streams, if an hour is over and one of
// them has moved: cutting a stream then shows in the others.
func (v *Vault) noteHeads(ctx context.Context) error {
	c := &v.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun || c.ended || v.cfg.Now().Sub(c.noted) < noteEvery {
		return nil
	}
	var others map[string]int64
	err := v.store.Update(ctx, func(tx Tx) error {
		notes, err := v.notes(tx, false)
		if err != nil {
			return err
		}
		others = map[string]int64{}
		moved := false
		for _, n := range notes {
			if n.Stream != c.stream() {
				moved = moved || c.others[n.Stream] != n.Seq
				others[n.Stream] = n.Seq
			}
		}
		if !moved {
			return nil
		}
		return v.append(tx, Entry{Kind: "chain.heads", heads: notes})
	})
	if err == nil {
		c.noted, c.others = v.cfg.Now(), others
	}
	return err
}

// setSynced is for a synced transaction: what it sees of a stream is on the disk when it is.
func (v *Vault) setSynced(tx Tx, stream string) error {
	seq, _, err := tx.Audit().Head(stream)
	if err != nil {
		return err
	}
	return tx.Vault().SetSetting(settingSynced+stream, binary.BigEndian.AppendUint64(nil, uint64(seq)))
}

// syncedHeads are the heads of all streams once they are on the disk: a synced transaction holds all that came before it.
func (v *Vault) syncedHeads(ctx context.Context) (heads []AuditHead, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		if heads, err = v.heads(tx); err != nil {
			return err
		}
		var errs []error
		for _, h := range heads {
			errs = append(errs, v.setSynced(tx, h.Stream))
		}
		return errors.Join(errs...)
	})
	return heads, err
}
