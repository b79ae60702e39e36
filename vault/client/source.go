package client

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const maxKept = 10_000 // tokens of one client

// Options say which token is wanted. The zero value is every scope that the account was granted within the application's ceiling.
type Options struct {
	Scopes  []string // that the token has to cover
	Account string   // label or id, where the user has several accounts; "" = the only one or their default
	// MinTTL is how long the token has to be good yet; 0 = any. Grantry refreshes it sooner for that.
	MinTTL time.Duration
	// Hosts are where Source.Client may take the token, besides the base that Grantry names with it: "api.example.com",
	// with a port where it is not 443, or "*.example.com". On loopback plain http will do.
	Hosts []string
	// Base sends the requests of Source.Client; nil = http.DefaultTransport.
	Base http.RoundTripper
}

// Source answers tokens of one user at one connection. It is safe for concurrent use.
type Source struct {
	client     *Client
	subject    Subject
	connection string
	options    Options
}

// key says which tokens are the same: whose, where, for what.
type key [sha256.Size]byte

// flightKey is an exchange that several may wait for: a token that lives for this long, and is not the stale one.
type flightKey struct {
	key   key
	least time.Duration
	stale Secret
}

type flight struct {
	done  chan struct{}
	token *Token
	err   error
}

func (s *Source) key() (k key) {
	scopes := slices.Sorted(slices.Values(s.options.Scopes))
	h := sha256.New()
	for _, part := range append([]string{s.subject.kind, s.subject.user, s.connection, s.options.Account}, scopes...) {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash takes all
		_, _ = h.Write([]byte(part))
	}
	h.Sum(k[:0])
	return k
}

// Format says what the source is for, for every verb, and not whose.
func (s *Source) Format(w fmt.State, _ rune) {
	_, _ = fmt.Fprintf(w, "tokens of one user at %s, from %v", s.connection, s.client)
}

// Token answers a token that is good for Options.MinTTL, from memory or from Grantry. Where the user is needed
// the error is a *ConsentRequired; every other refusal is an *Error.
func (s *Source) Token(ctx context.Context) (*Token, error) {
	return s.get(ctx, Secret{})
}

// Forget drops what is kept for this source, as after the user has disconnected.
func (s *Source) Forget() {
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, s.key())
}

// get answers a token that is not the stale one.
func (s *Source) get(ctx context.Context, stale Secret) (*Token, error) {
	if s.subject.token == nil || s.connection == "" {
		return nil, errors.New("grantry: a token source needs a subject and a connection")
	}
	c, k := s.client, s.key()
	c.mu.Lock()
	if t := c.kept[k]; t.lasts(c.cfg.Now(), s.options.MinTTL) && t.Access != stale {
		c.mu.Unlock()
		return t.clone(), nil
	}
	fk := flightKey{key: k, least: s.options.MinTTL, stale: stale}
	f := c.flights[fk]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		c.flights[fk] = f
		go s.fly(context.WithoutCancel(ctx), fk, f) // who leaves takes nothing from the others
	}
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.done:
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.token.clone(), nil
}

// fly does one exchange for all who wait for it.
func (s *Source) fly(ctx context.Context, fk flightKey, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c := s.client
	defer close(f.done)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, fk)
		if f.err == nil {
			c.keep(fk.key, f.token)
		} else if t := c.kept[fk.key]; t != nil && t.Access == fk.stale {
			delete(c.kept, fk.key)
		}
	}()
	f.err = errors.New("grantry: the exchange did not end") // as when what the application gave leaves by runtime.Goexit
	if fk.stale.IsZero() {
		f.token, f.err = s.exchange(ctx, fk.least)
		return
	}
	f.token, f.err = s.newer(ctx, fk)
}

// newer asks for another token than one that the vendor refuses: one that lives longer than that
// has left makes Grantry refresh it. Where none can live so long, the vault may have a new one all the same.
func (s *Source) newer(ctx context.Context, fk flightKey) (*Token, error) {
	least := fk.least
	c := s.client
	c.mu.Lock()
	if t := c.kept[fk.key]; t != nil && t.Access == fk.stale {
		least = max(least, t.Expires.Sub(c.cfg.Now())+time.Second)
	}
	c.mu.Unlock()
	t, err := s.exchange(ctx, least)
	var e *Error
	if errors.As(err, &e) && e.Code == "invalid_request" && e.Reason == "" && least > fk.least {
		t, err = s.exchange(ctx, fk.least)
	}
	return t, err
}

// keep makes room where there is none. The caller holds mu.
func (c *Client) keep(k key, t *Token) {
	now := c.cfg.Now()
	if len(c.kept) >= maxKept {
		for old, kept := range c.kept {
			if !kept.lasts(now, 0) {
				delete(c.kept, old)
			}
		}
	}
	for old := range c.kept {
		if len(c.kept) < maxKept {
			break
		}
		delete(c.kept, old)
	}
	c.kept[k] = t
}
