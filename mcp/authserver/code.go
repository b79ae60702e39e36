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
	c, err := s.code(ctx, handle)
	if err != nil {
		return "", family{}, err
	}
	err = s.checkCode(c, client, redirect, verifier)
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
	if err := s.meant(ctx, c); err != nil {
		return "", f, errors.Join(err, s.families.end(ctx, id))
	}
	err = s.cfg.Records.Change(ctx, kindCode, handle, func(old []byte) ([]byte, time.Duration, error) {
		if old == nil || json.Unmarshal(old, &c) != nil {
			return nil, 0, errCode
		}
		if err := s.checkCode(c, client, redirect, verifier); err != nil {
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

// meant is errCode for a code from before its person ended a login of the client: they did not mean to leave that behind.
func (s *Server) meant(ctx context.Context, c code) error {
	ended, err := s.forgot(ctx, c.grant)
	if err == nil && !c.Issued.After(ended) {
		return errCode
	}
	return err
}

// code is a code as it is stored now, or errCode.
func (s *Server) code(ctx context.Context, handle string) (c code, err error) {
	raw, err := s.cfg.Records.Get(ctx, kindCode, handle)
	if errors.Is(err, vault.ErrNotFound) {
		return c, errCode
	}
	if err != nil {
		return c, fmt.Errorf("reading code: %w", err)
	}
	if json.Unmarshal(raw, &c) != nil {
		return code{}, errCode
	}
	return c, nil
}

// noRedirect stands for a redirect URI that a token request leaves out, as OAuth 2.1
// has it (§10.2): the challenge binds the code to who began. op wants to see one.
const noRedirect = "none"

// checkCode holds what a code is bound to; errReplay comes last, so that only valid parameters reveal it.
func (s *Server) checkCode(c code, client, redirect, verifier string) error {
	sum := sha256.Sum256([]byte(verifier))
	proof := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case c.Client != client, redirect != noRedirect && c.Redirect != redirect, subtle.ConstantTimeCompare([]byte(proof), []byte(c.Challenge)) != 1:
		return errCode
	case c.Family != "":
		return errReplay
	case s.cfg.Now().Sub(c.Issued) > codeTTL:
		return errCode
	}
	return nil
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
