package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// state is all that survives a restart. Codes and tokens are kept under the SHA-256 of their text.
type state struct {
	Root      []byte
	IssuerKey *jose.JSONWebKey // ES256, signs for the issuer
	VendorKey *jose.JSONWebKey // RS256, signs for Google and Salesforce; made when first needed
	Clients   map[string]*client
	Grants    []*grant
	Codes     map[string]*code
	Access    map[string]*token
	Refresh   map[string]*token
	Faults    []*fault
	Strict    map[string]bool // vendors under rotate_strict
	Messages  []message       // posted to Slack, after the seeded ones
	Cursors   map[string]*cursor
	Edits     map[string]*edit // of Salesforce records, by id
}

// grant is what one person has allowed one client at one vendor.
type grant struct {
	ID, Vendor, User, Client string
	Scopes, BotScopes        []string // all that was ever allowed under this grant; the second at Slack only
	Offline                  bool     // a refresh token was given
	Dead                     bool
	Spent                    int // refresh tokens accepted so far
}

func newState() *state {
	return &state{
		Clients: map[string]*client{}, Codes: map[string]*code{}, Access: map[string]*token{},
		Refresh: map[string]*token{}, Strict: map[string]bool{}, Cursors: map[string]*cursor{}, Edits: map[string]*edit{},
	}
}

func loadState(path string) (*state, error) {
	st := newState()
	if path == "" {
		return st, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the sandbox's state: %w", err)
	}
	if err := json.Unmarshal(raw, st); err != nil {
		return nil, fmt.Errorf("reading the sandbox's state in %s (delete it to start afresh): %w", path, err)
	}
	return st, nil
}

// save writes the state beside the file and renames it into place, so that a reader sees the old or the new.
func (st *state) save(path string) error { return st.write(path, os.Rename) }

// create is save for a file that does not exist yet; fs.ErrExist says that it does.
func (st *state) create(path string) error {
	return st.write(path, func(from, to string) error { return errors.Join(os.Link(from, to), os.Remove(from)) })
}

func (st *state) write(path string, place func(from, to string) error) error {
	if path == "" {
		return nil
	}
	raw, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encoding the sandbox's state: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".sandbox-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the sandbox's state: %w", err)
	}
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = place(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // it may be gone already
		return fmt.Errorf("writing the sandbox's state: %w", err)
	}
	return nil
}

// prune forgets what can no longer be used nor be asked about.
func (st *state) prune(now time.Time) {
	old := now.Add(-24 * time.Hour)
	for k, c := range st.Codes {
		if c.Expires.Before(old) {
			delete(st.Codes, k)
		}
	}
	for k, t := range st.Access {
		if t.Expires.Before(old) {
			delete(st.Access, k)
		}
	}
	for k, c := range st.Cursors {
		if c.Expires.Before(now) {
			delete(st.Cursors, k)
		}
	}
}

// update changes the state under the lock and writes it before it returns. A write that fails is logged:
// the sandbox goes on in memory.
func (s *Sandbox) update(change func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.state)
	s.keep()
}

// keep writes the state; the caller holds the lock.
func (s *Sandbox) keep() {
	if err := s.state.save(s.cfg.StateFile); err != nil {
		s.cfg.Logger.Error("sandbox state not written", "error", err)
	}
}

// view reads the state under the lock.
func (s *Sandbox) view(look func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look(s.state)
}

// join is the person's living grant to this client at this vendor, or a new one.
func (s *Sandbox) join(st *state, vendor, clientID, user string) *grant {
	for _, g := range st.Grants {
		if g.Vendor == vendor && g.Client == clientID && g.User == user && !g.Dead {
			return g
		}
	}
	return s.newGrant(st, vendor, clientID, user)
}

func (s *Sandbox) newGrant(st *state, vendor, clientID, user string) *grant {
	g := &grant{ID: s.random(), Vendor: vendor, Client: clientID, User: user}
	st.Grants = append(st.Grants, g)
	return g
}

func (st *state) grant(id string) *grant {
	for _, g := range st.Grants {
		if g.ID == id {
			return g
		}
	}
	return nil
}

// live says whether any token of the grant would still be accepted.
func (st *state) live(g *grant, now time.Time) bool {
	if g.Dead {
		return false
	}
	for _, t := range st.Refresh {
		if t.Grant == g.ID && !t.Dead && !t.Spent {
			return true
		}
	}
	for _, t := range st.Access {
		if t.Grant == g.ID && !t.Dead && t.Expires.After(now) {
			return true
		}
	}
	return false
}
