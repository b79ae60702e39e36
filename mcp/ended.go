package mcp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	recEnded   = "mcp/ended" // sessions that a client has ended, by caller and agent
	maxEnded   = 256         // of one caller and agent; then the oldest is forgotten
	endedFresh = 2 * time.Second
)

// Records keep what must outlive this process or be seen by others, see [vault.Records].
type Records interface {
	Get(ctx context.Context, kind, handle string) ([]byte, error)
	Put(ctx context.Context, kind, handle string, owner vault.Caller, value []byte, ttl time.Duration) error
	Take(ctx context.Context, kind, handle string) ([]byte, error)
	Change(ctx context.Context, kind, handle string, fn func(old []byte) (value []byte, ttl time.Duration, err error)) error
}

// endedSession is one line of a record: a session that DELETE has ended.
type endedSession struct {
	Hash    []byte `json:"h"`
	Expires int64  `json:"e"` // seconds since 1970; then the id is too old anyway
}

// ended are the 2025-era sessions that their clients have ended, in a bounded list per
// caller and agent. An id that falls out of it opens nothing that its bearer would not
// open by itself. Another replica hears of it within two seconds.
type ended struct {
	records Records
	now     func() time.Time

	mu    sync.Mutex
	known map[pair]*endedList
}

type endedList struct {
	list []endedSession
	read time.Time
}

func newEnded(records Records, now func() time.Time) *ended {
	return &ended{records: records, now: now, known: map[pair]*endedList{}}
}

func hashOfSession(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:12]
}

// has says whether owner has ended the session. What cannot be read is taken as it was last read.
func (x *ended) has(ctx context.Context, owner pair, id string) bool {
	hash := hashOfSession(id)
	x.mu.Lock()
	known := x.known[owner]
	x.mu.Unlock()
	if known == nil || x.now().Sub(known.read) >= endedFresh {
		if list, err := x.read(ctx, owner); err == nil {
			known = x.keep(owner, list)
		}
	}
	return known != nil && slices.ContainsFunc(known.list, func(e endedSession) bool { return bytes.Equal(e.Hash, hash) })
}

func (x *ended) read(ctx context.Context, owner pair) (list []endedSession, err error) {
	raw, err := x.records.Get(ctx, recEnded, hex.EncodeToString(owner.hash()))
	if errors.Is(err, vault.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return list, json.Unmarshal(raw, &list)
}

func (x *ended) keep(owner pair, list []endedSession) *endedList {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= maxLimited {
		clear(x.known)
	}
	x.known[owner] = &endedList{list: list, read: x.now()}
	return x.known[owner]
}

// add ends a session, here and on every replica.
func (x *ended) add(ctx context.Context, owner pair, id string) error {
	var list []endedSession
	fn := func(old []byte) ([]byte, time.Duration, error) {
		list = nil
		_ = json.Unmarshal(old, &list)
		now := x.now()
		list = slices.DeleteFunc(list, func(e endedSession) bool { return e.Expires <= now.Unix() })
		list = append(list, endedSession{Hash: hashOfSession(id), Expires: now.Add(sessionLife).Unix()})
		list = list[max(0, len(list)-maxEnded):]
		raw, err := json.Marshal(list)
		return raw, sessionLife, err
	}
	if err := x.write(ctx, owner, fn); err != nil {
		return err
	}
	x.keep(owner, list)
	return nil
}

func (x *ended) write(ctx context.Context, owner pair, fn func([]byte) ([]byte, time.Duration, error)) error {
	handle := hex.EncodeToString(owner.hash())
	err := x.records.Change(ctx, recEnded, handle, fn)
	if !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	raw, ttl, err := fn(nil)
	if err != nil {
		return err
	}
	return x.records.Put(ctx, recEnded, handle, owner.caller, raw, ttl)
}
