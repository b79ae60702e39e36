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

// Approver keeps what people have said about writes, see [vault.Approval].
type Approver interface {
	Approved(ctx context.Context, r vault.Request, w vault.Write) (id string, err error)
	TakeApproved(ctx context.Context, owner vault.Caller, agent vault.Agent, tool, id string) (vault.Approval, error)
	Approval(ctx context.Context, owner vault.Caller, id string) (vault.Approval, error)
	Withdraw(ctx context.Context, owner vault.Caller, id string) error
	ApproveInClient(ctx context.Context, p vault.Person, id string, f vault.ApproveFor) error
	DeclineInClient(ctx context.Context, p vault.Person, id string) error
}

// Guarder ends calls in flight when their person takes the access away, see [vault.Guard].
type Guarder interface {
	Guard(ctx context.Context, c vault.Caller, a vault.Agent) (context.Context, *vault.Guard)
}

// Accounts are the caller's accounts, who may use them, and the connections that there are.
type Accounts interface {
	Accounts(ctx context.Context, c vault.Caller) ([]vault.Account, error)
	AccessList(ctx context.Context, c vault.Caller) ([]vault.Access, error)
	Connections() []string
	ID() string
}

// Sealer keeps what a client carries for us from being read or made up.
type Sealer interface {
	SealState(purpose string, plaintext []byte) (string, error)
	OpenState(purpose, sealed string) ([]byte, error)
}

// Auditor writes down what happened, see [vault.Entry].
type Auditor interface {
	Pseudonym(c vault.Caller) string
	MAC(label string, msg []byte) []byte
	Audit(ctx context.Context, e vault.Entry) error
	Note(ctx context.Context, e vault.Entry) error
	ToolsOffered(ctx context.Context, hashes map[string]string) error
}

// Vault is what this package needs of a *vault.Vault.
type Vault interface {
	Exchanger
	Tickets
	Approver
	Guarder
	Accounts
	Sealer
	Auditor
}

// opener opens the vault when the first call needs it, so that a client that
// only lists tools does not wait for a key or a disk. A failure is not kept.
type opener struct {
	open   func(context.Context) (Vault, error)
	opened func(context.Context, Vault) // hears of it, once

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
	o.opened(ctx, v)
	return v, nil
}
