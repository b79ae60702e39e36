package vault

import (
	"context"
	"errors"
	"time"
)

// StopScope is what a person stops: one agent, one account, or with the zero scope everything of theirs.
type StopScope struct {
	Agent   string `json:"agent,omitempty"`   // AgentKey
	Account string `json:"account,omitempty"` // Account.ID
}

// Stop is a stop that lasts until its person lets it go on.
type Stop struct {
	StopScope
	Since time.Time
}

// Stopped is what a stop ended.
type Stopped struct {
	Access  int // permissions of agents
	Tickets int // open requests
}

// StoppedError says that the person has stopped this agent, this account or all of theirs: no link is given and nothing allowed until they let it go on.
type StoppedError struct{ Stop }

// Error names what is stopped.
func (e *StoppedError) Error() string {
	switch {
	case e.Agent != "":
		return "stopped by the person: this agent"
	case e.Account != "":
		return "stopped by the person: this account"
	}
	return "stopped by the person: everything"
}

// Stop is the kill switch: all access within s ends at once in every process,
// approvals are void, open tickets are closed, calls in flight are cancelled within
// 5 s, and nothing new is given until Resume. Stopping twice is no error.
// ErrNotFound says that s names nothing of the caller's.
func (v *Vault) Stop(ctx context.Context, c Caller, s StopScope) (Stopped, error) {
	return Stopped{}, errors.ErrUnsupported
}

// Resume lets go on what was stopped. Access does not come back: agents ask again. ErrNotFound when it is not stopped.
func (v *Vault) Resume(ctx context.Context, c Caller, s StopScope) error {
	return errors.ErrUnsupported
}

// Stops are the caller's stops, oldest first.
func (v *Vault) Stops(ctx context.Context, c Caller) ([]Stop, error) {
	return nil, errors.ErrUnsupported
}
