package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindFamily = "authserver-family"

	// aliveFor is how long a family is taken for alive without another look: an end
	// on another replica holds within this time, one of this process at once.
	aliveFor    = time.Second
	touchEvery  = time.Hour
	maxFamilies = 10_000
)

var (
	errForeign = errors.New("token of another client")
	errReused  = errors.New("refresh token used before")
	errSame    = errors.New("the same successor again")
)

// family is all the tokens that came of one yes. Its refresh tokens are counted:
// the one that counts Gen is good, the one before it for a moment.
type family struct {
	grant
	ID      string    `json:"id"`
	Gen     uint32    `json:"gen"`
	Rotated time.Time `json:"rotated"`       // when the token of Gen was made
	Used    time.Time `json:"used,omitzero"` // when it was presented, to the hour; before Rotated it says nothing
	Ends    time.Time `json:"ends"`          // however often it is refreshed (ASVS 10.4.8)
}

// families keep them in the vault's records.
type families struct {
	records Records
	now     func() time.Time
	draw    func() (string, error)

	mu    sync.Mutex
	alive map[string]aliveFamily
	over  map[string]bool // that ended here: who has read one just before must not take it for alive
}

type aliveFamily struct {
	family
	until time.Time
}

func newFamilies(cfg Config) *families {
	f := &families{records: cfg.Records, now: cfg.Now, alive: map[string]aliveFamily{}, over: map[string]bool{}}
	f.draw = func() (string, error) { return drawID(cfg.Rand) }
	return f
}

// begin stores a new family.
func (f *families) begin(ctx context.Context, g grant) (string, family, error) {
	id, err := f.draw()
	now := f.now().UTC()
	one := family{grant: g, ID: id, Gen: 1, Rotated: now, Ends: now.Add(refreshTotal)}
	if err != nil {
		return "", one, err
	}
	raw, err := json.Marshal(one)
	if err != nil {
		return "", one, err
	}
	if err := f.records.Put(ctx, kindFamily, id, g.Person.Caller, raw, refreshIdle); err != nil {
		return "", one, fmt.Errorf("storing tokens: %w", err)
	}
	return id, one, nil
}

// rotate spends the refresh token that counts gen (R51). It answers the family as
// it is then: its token is the successor. Of calls at the same time all get the
// same one. check sees the family before anything is spent.
func (f *families) rotate(ctx context.Context, id string, gen uint32, check func(family) error) (one family, err error) {
	err = f.records.Change(ctx, kindFamily, id, func(old []byte) ([]byte, time.Duration, error) {
		one = family{}
		if old == nil {
			return nil, 0, vault.ErrNotFound
		}
		if err := json.Unmarshal(old, &one); err != nil {
			return nil, 0, fmt.Errorf("decoding tokens: %w", err)
		}
		if err := check(one); err != nil {
			return nil, 0, err
		}
		now := f.now().UTC()
		switch f.counts(one, gen) {
		case ended:
			return nil, 0, vault.ErrNotFound
		case justBefore:
			return nil, 0, errSame
		case reused:
			return nil, 0, errReused
		}
		one.Gen, one.Rotated = one.Gen+1, now
		raw, err := json.Marshal(one)
		return raw, one.life(now), err
	})
	if errors.Is(err, errSame) {
		err = nil
	}
	return one, err
}

// standing is what a refresh token is to its family.
type standing int

const (
	current    standing = iota
	justBefore          // the one before the current one, in the moment in which an answer may have been lost
	reused              // in two hands
	ended               // the family is over, whatever it counts
)

// counts says what the refresh token that counts gen is to a family as it is now.
func (f *families) counts(one family, gen uint32) standing {
	now := f.now()
	switch {
	case !now.Before(one.Ends):
		return ended
	case gen == one.Gen:
		return current
	case gen+1 == one.Gen && now.Sub(one.Rotated) <= replayWindow:
		return justBefore
	}
	return reused
}

// life is how long a family lives that is used now.
func (one family) life(now time.Time) time.Duration { return min(refreshIdle, one.Ends.Sub(now)) }

// touch keeps a family alive whose refresh token is presented and not spent. It writes at most once an hour.
func (f *families) touch(ctx context.Context, id string, one family) error {
	now := f.now().UTC()
	if now.Sub(one.lastUsed()) < touchEvery {
		return nil
	}
	err := f.records.Change(ctx, kindFamily, id, func(old []byte) ([]byte, time.Duration, error) {
		if old == nil {
			return nil, 0, vault.ErrNotFound
		}
		var one family
		if err := json.Unmarshal(old, &one); err != nil {
			return nil, 0, err
		}
		one.Used = now
		raw, err := json.Marshal(one)
		return raw, one.life(now), err
	})
	if err != nil {
		return fmt.Errorf("keeping login: %w", err)
	}
	return nil
}

func (one family) lastUsed() time.Time {
	if one.Used.After(one.Rotated) {
		return one.Used
	}
	return one.Rotated
}

// end makes all tokens of a family worthless.
func (f *families) end(ctx context.Context, id string) error {
	f.mu.Lock()
	delete(f.alive, id)
	if len(f.over) >= maxFamilies {
		clear(f.over)
	}
	f.over[id] = true
	f.mu.Unlock()
	if err := f.records.Delete(ctx, kindFamily, id); err != nil {
		return fmt.Errorf("ending tokens: %w", err)
	}
	return nil
}

// get answers a family that lives, or vault.ErrNotFound.
func (f *families) get(ctx context.Context, id string) (family, error) {
	now := f.now()
	f.mu.Lock()
	known, ok := f.alive[id]
	f.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.family, nil
	}
	one, err := f.look(ctx, id)
	if err != nil {
		return one, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over[id] {
		return family{}, vault.ErrNotFound
	}
	if len(f.alive) >= maxFamilies {
		clear(f.alive)
	}
	f.alive[id] = aliveFamily{one, now.Add(aliveFor)}
	return one, nil
}

// look answers a family as it is stored now, or vault.ErrNotFound.
func (f *families) look(ctx context.Context, id string) (one family, err error) {
	raw, err := f.records.Get(ctx, kindFamily, id)
	if err != nil {
		return one, err
	}
	if err := json.Unmarshal(raw, &one); err != nil {
		return one, fmt.Errorf("decoding tokens: %w", err)
	}
	return one, nil
}
