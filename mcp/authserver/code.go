package authserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/grantry/grantry/vault"
)

const kindCode = "authserver-code"

var (
	errCode   = errors.New("code not good")
	errReplay = errors.New("code used before")
)

// code is an authorization code. Its record stays after it was used for as long
// as what it gave may live, so that a replay is known as one.
type code struct {
	grant
	Redirect  string    `json:"redirect"`
	Challenge string    `json:"challenge"`
	Issued    time.Time `json:"issued"`
	Family    string    `json:"family,omitempty"` // that it gave; "" = not used yet
}

// grantCode makes a code for a request that its person allowed, and answers the redirect that carries it.
func (s *Server) grantCode(ctx context.Context, req request) (string, error) {
	handle, err := s.random(32)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(code{grant: req.grant, Redirect: req.Redirect, Challenge: req.Challenge, Issued: s.cfg.Now().UTC()})
	if err != nil {
		return "", err
	}
	if err := s.cfg.Records.Put(ctx, kindCode, handle, req.Person.Caller, raw, refreshTotal); err != nil {
		return "", fmt.Errorf("storing code: %w", err)
	}
	return s.redirect(req, url.Values{"code": {handle}}), nil
}

// redeem turns a code into a family of tokens, once. A replay with valid
// parameters ends what the code gave; one with others changes nothing (R49).
func (s *Server) redeem(ctx context.Context, handle, client, redirect, verifier string) (string, family, error) {
	raw, err := s.cfg.Records.Get(ctx, kindCode, handle)
	if errors.Is(err, vault.ErrNotFound) {
		return "", family{}, errCode
	}
	if err != nil {
		return "", family{}, fmt.Errorf("reading code: %w", err)
	}
	c, err := s.checkCode(raw, client, redirect, verifier)
	if err != nil && !errors.Is(err, errReplay) {
		return "", family{}, err
	}
	if err != nil {
		return "", family{}, s.replayed(ctx, c)
	}
	// The family first: whoever comes second finds it named in the code and ends it.
	id, f, err := s.families.begin(ctx, c.grant)
	if err != nil {
		return "", f, err
	}
	err = s.cfg.Records.Change(ctx, kindCode, handle, func(old []byte) ([]byte, time.Duration, error) {
		if c, err = s.checkCode(old, client, redirect, verifier); err != nil {
			return nil, 0, err
		}
		c.Family = id
		used, err := json.Marshal(c)
		return used, refreshTotal, err
	})
	if errors.Is(err, errReplay) {
		err = errors.Join(s.replayed(ctx, c), s.families.end(ctx, id))
	}
	return id, f, err
}

// checkCode holds what a code is bound to; errReplay comes last, so that only valid parameters reveal it.
func (s *Server) checkCode(raw []byte, client, redirect, verifier string) (c code, err error) {
	if raw == nil || json.Unmarshal(raw, &c) != nil {
		return c, errCode
	}
	sum := sha256.Sum256([]byte(verifier))
	proof := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case c.Client != client, c.Redirect != redirect, subtle.ConstantTimeCompare([]byte(proof), []byte(c.Challenge)) != 1:
		return c, errCode
	case c.Family != "":
		return c, errReplay
	case s.cfg.Now().Sub(c.Issued) > codeTTL:
		return c, errCode
	}
	return c, nil
}

// replayed ends what a code gave: it was seen by somebody who should not have it.
func (s *Server) replayed(ctx context.Context, c code) error {
	s.note(ctx, c.grant, "code_replayed")
	if err := s.families.end(ctx, c.Family); err != nil {
		return err
	}
	return errCode
}

// note writes to the audit that a client's tokens ended, and why.
func (s *Server) note(ctx context.Context, g grant, why string) {
	s.cfg.Logger.WarnContext(ctx, "the tokens of a client were revoked", "client", g.Client, "why", why)
	e := vault.Entry{Kind: "client.revoked", Caller: g.Person.Caller, Agent: g.Agent, Scopes: g.Scopes, Reason: why}
	if err := s.cfg.Vault.Note(ctx, e); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "writing audit", "error", err)
	}
}
