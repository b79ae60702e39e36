package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/grantry/grantry/vault"
)

// Logins are the clients that are logged in in a person's name, workloads too.
func (s *Server) Logins(ctx context.Context, c vault.Caller) (out []vault.Login, err error) {
	all, err := s.cfg.Records.List(ctx, kindFamily, c)
	if err != nil {
		return nil, fmt.Errorf("listing logins: %w", err)
	}
	now := s.cfg.Now()
	for _, raw := range all {
		var f family
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, fmt.Errorf("decoding login: %w", err)
		}
		if now.Before(f.Ends) {
			out = append(out, vault.Login{ID: f.ID, Agent: f.Agent, Since: f.Ends.Add(-refreshTotal), Used: f.lastUsed(), Ends: f.Ends})
		}
	}
	return out, nil
}

// EndLogin ends a login of the person's: its refresh tokens, and at once its
// access tokens, on other replicas within a second; the client then logs in by their yes alone, in every browser. vault.ErrNotFound where they have no such login.
func (s *Server) EndLogin(ctx context.Context, c vault.Caller, id string) error {
	f, err := s.families.look(ctx, id)
	if errors.Is(err, vault.ErrNotFound) || err == nil && f.Person.Caller != c {
		return vault.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reading login: %w", err)
	}
	s.note(ctx, f.grant, "person")
	if err := s.forget(ctx, f.grant); err != nil {
		return fmt.Errorf("forgetting consent: %w", err)
	}
	return s.families.end(ctx, id)
}
