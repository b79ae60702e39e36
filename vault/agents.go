package vault

import (
	"context"
	"errors"
	"time"
)

// KnownAgent is an agent that a person has met: it has, had or asks for access to an account of theirs.
type KnownAgent struct {
	Key     string // AgentKey
	Agent   Agent
	Group   string // the same for agents of the same name and redirect host
	Access  []Access
	First   time.Time
	Last    time.Time // of its last use or request
	Stopped time.Time // zero = it may go on
}

// AgentKey names an agent in forms and queries: a keyed hash of its issuer and id.
func (v *Vault) AgentKey(a Agent) string { return v.agentKey(a) }

// Agents are those that the caller has met, by access (also access that has ended)
// and by open tickets, the last used first.
func (v *Vault) Agents(ctx context.Context, c Caller) ([]KnownAgent, error) {
	return nil, errors.ErrUnsupported
}

// MoveAccess has one agent's access go over to another of its group, and says to
// how many accounts. ErrNotFound where the caller knows no such agents, ErrForeign where they are not of one group.
func (v *Vault) MoveAccess(ctx context.Context, c Caller, from, to string) (n int, err error) {
	return 0, errors.ErrUnsupported
}
