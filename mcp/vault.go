package mcp

import (
	"context"
	"sync"

	"github.com/grantry/grantry/vault"
)

// Exchanger gives tokens, or says what is lacking.
type Exchanger interface {
	Exchange(ctx context.Context, r vault.Request) (*vault.Token, error)
	Check(ctx context.Context, r vault.Request) error
}

// Tickets are what a person is asked for, see [vault.Ticket].
type Tickets interface {
	OpenTicket(ctx context.Context, r vault.TicketRequest) (t vault.Ticket, fresh bool, err error)
	Handle(t vault.Ticket) string
	TicketByID(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error)
	AwaitTicket(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error)
	BackOff(ctx context.Context, c vault.Caller, a vault.Agent, connection string, cancel bool) error
}

// Accounts are the caller's accounts and the connections that there are.
type Accounts interface {
	Accounts(ctx context.Context, c vault.Caller) ([]vault.Account, error)
	Connections() []string
	ID() string
}

// Sealer keeps what a client carries for us from being read or made up, and writes down what was refused.
type Sealer interface {
	SealState(purpose string, plaintext []byte) (string, error)
	OpenState(purpose, sealed string) ([]byte, error)
	Pseudonym(c vault.Caller) string
	Audit(ctx context.Context, e vault.Entry) error
}

// Vault is what this package needs of a *vault.Vault.
type Vault interface {
	Exchanger
	Tickets
	Accounts
	Sealer
}

// opener opens the vault when the first call needs it, so that a client that
// only lists tools does not wait for a key or a disk. A failure is not kept.
type opener struct {
	open func(context.Context) (Vault, error)

	mu sync.Mutex
	v  Vault
}

func (o *opener) get(ctx context.Context) (Vault, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.v != nil {
		return o.v, nil
	}
	v, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	o.v = v
	return v, nil
}
