package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/grantry/grantry/vault"
)

// ErrUnknownToken says that a presented refresh token is not this workload's, or not the current one of its login.
var ErrUnknownToken = errors.New("refresh token is not known")

// Presented answers who is signed in by a refresh token that was issued to that
// workload, and does not spend it. Only the current one counts. The one
// before it is refused for the moment in which an answer may have been lost; an older one is
// in two hands and ends the login, like at a refresh. A token of another client ends nothing.
// Errors: [ErrUnknownToken]; any other says that it could not be found out.
func (s *Server) Presented(ctx context.Context, workload, refreshToken string) (vault.Person, error) {
	id, gen, ok := s.readRefresh(refreshToken)
	if _, known := s.cfg.Workloads[workload]; !ok || !known {
		return vault.Person{}, ErrUnknownToken
	}
	f, err := s.families.look(ctx, id)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return vault.Person{}, ErrUnknownToken
	case err != nil:
		return vault.Person{}, fmt.Errorf("reading login: %w", err)
	case f.Client != workload || !slices.Contains(s.targets(&client{workload: true}), f.Resource):
		return vault.Person{}, ErrUnknownToken
	}
	switch s.families.counts(f, gen) {
	case current:
		if err := s.families.touch(ctx, id, f); errors.Is(err, vault.ErrNotFound) {
			return vault.Person{}, ErrUnknownToken
		} else if err != nil {
			return vault.Person{}, err
		}
		return f.Person, nil
	case justBefore, ended:
		return vault.Person{}, ErrUnknownToken
	}
	if err := s.reused(ctx, id, f); err != nil {
		return vault.Person{}, err
	}
	return vault.Person{}, ErrUnknownToken
}
