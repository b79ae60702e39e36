package mcp_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault"
)

// fakeApproval is an approval, with the call that spent it.
type fakeApproval struct {
	vault.Approval
	ticket, call string
}

func (f *fakeVault) AccessList(context.Context, vault.Caller) ([]vault.Access, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.access, nil
}

// Guard answers a context that stop ends.
func (f *fakeVault) Guard(ctx context.Context, _ vault.Caller, _ vault.Agent) (context.Context, *vault.Guard) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	f.flying[&cancel] = true
	return ctx, nil
}

// stop is what the kill switch does to calls in flight.
func (f *fakeVault) stop(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cancel := range f.flying {
		(*cancel)(cause)
	}
}

// asksFor says whether a ticket is about this write. Called with mu held, like all below it but the vault's own methods.
func (f *fakeVault) asksFor(t *vault.Ticket, w *vault.Write) bool {
	if w == nil || t.Approval == "" {
		return w == nil && t.Approval == ""
	}
	a := f.approval(t.Owner.Caller, t.Approval)
	return a.Tool == w.Tool && bytes.Equal(a.Digest, w.Digest)
}

func (f *fakeVault) askFor(t *vault.Ticket, r vault.TicketRequest) {
	if r.Write == nil {
		return
	}
	t.Approval = fmt.Sprintf("ap_%d", len(f.approvals)+1)
	f.approvals = append(f.approvals, &fakeApproval{ticket: t.ID, Approval: vault.Approval{
		ID: t.Approval, Owner: t.Owner.Caller, Agent: t.Agent, Write: *r.Write, Account: t.Options[0].Grant,
		State: vault.ApprovalAsked, Asked: time.Now(), Until: t.Expires,
	}})
}

// answer is what a ticket's end means for its approval.
func (f *fakeVault) answer(t *vault.Ticket, yes vault.ApproveFor) {
	a := f.approval(t.Owner.Caller, t.Approval)
	switch {
	case a == nil || a.State != vault.ApprovalAsked:
	case t.State == vault.TicketDeclined:
		a.State = vault.ApprovalDeclined
	case t.State == vault.TicketDone:
		a.State, a.Approved, a.Until = vault.ApprovalApproved, time.Now(), time.Now().Add(5*time.Minute)
		a.Account = "g-" + t.Options[0].Connection + "-" + t.Owner.Subject
		if yes != vault.ApproveOnce && !a.Destroy {
			f.standing[a.Tool] = vault.Standing{ID: "st_" + a.Tool, Agent: a.Agent, Tool: a.Tool, Account: a.Account, Until: time.Now().Add(time.Hour)}
		}
	}
}

func (f *fakeVault) approval(owner vault.Caller, id string) *fakeApproval {
	for _, a := range f.approvals {
		if a.ID == id && a.Owner == owner {
			if time.Now().After(a.Until) && (a.State == vault.ApprovalAsked || a.State == vault.ApprovalApproved) {
				a.State = vault.ApprovalExpired
			}
			return a
		}
	}
	return nil
}

func (f *fakeVault) Approval(_ context.Context, owner vault.Caller, id string) (vault.Approval, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.approval(owner, id); a != nil {
		return a.Approval, nil
	}
	return vault.Approval{}, vault.ErrNotFound
}

func (f *fakeVault) Approved(_ context.Context, r vault.Request, w vault.Write) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	account, err := f.pick(r)
	if err != nil {
		return "", err
	}
	for _, a := range f.approvals {
		a = f.approval(r.Caller, a.ID)
		if a != nil && a.State == vault.ApprovalApproved && a.Agent.ID == r.Agent.ID && a.Tool == w.Tool && a.Account == account.ID && bytes.Equal(a.Digest, w.Digest) {
			return a.ID, nil
		}
	}
	if s := f.standing[w.Tool]; s.Agent.ID == r.Agent.ID && s.Account == account.ID && time.Now().Before(s.Until) && !w.Destroy {
		return s.ID, nil
	}
	return "", nil
}

func (f *fakeVault) TakeApproved(ctx context.Context, owner vault.Caller, agent vault.Agent, tool, id string) (vault.Approval, error) {
	a, err := f.Approval(ctx, owner, id)
	switch {
	case err != nil || a.Agent.ID != agent.ID || a.Tool != tool:
		return vault.Approval{}, vault.ErrNotFound
	case a.State == vault.ApprovalRan:
		return a, &vault.RanError{At: a.Ran}
	case a.State == vault.ApprovalAsked:
		return a, vault.ErrStale
	case a.State != vault.ApprovalApproved:
		return a, vault.ErrGone
	}
	return a, nil
}

func (f *fakeVault) Withdraw(_ context.Context, owner vault.Caller, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.approval(owner, id)
	switch {
	case a == nil:
		return vault.ErrNotFound
	case a.State == vault.ApprovalRan:
		return &vault.RanError{At: a.Ran}
	}
	a.State = vault.ApprovalDeclined
	return nil
}

func (f *fakeVault) ApproveInClient(_ context.Context, p vault.Person, id string, yes vault.ApproveFor) error {
	return f.inClient(p, id, vault.TicketDone, yes)
}

func (f *fakeVault) DeclineInClient(_ context.Context, p vault.Person, id string) error {
	return f.inClient(p, id, vault.TicketDeclined, "")
}

func (f *fakeVault) inClient(p vault.Person, id string, state vault.TicketState, yes vault.ApproveFor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.approval(p.Caller, id)
	if a == nil {
		return vault.ErrNotFound
	}
	for _, t := range f.tickets {
		f.expire(t)
		if t.ID == a.ticket && !t.Over() && t.Kind == vault.KindApprove {
			f.end(t, state, yes)
			return nil
		}
	}
	return vault.ErrGone
}

// spend is what the release of a token under an approval does.
func (f *fakeVault) spend(r vault.Request, account vault.Account) error {
	lack := &vault.ConsentError{Reason: vault.ApprovalRequired, Options: []vault.Option{{Connection: account.Connection, Grant: account.ID}}}
	a := f.approval(r.Caller, r.Approval)
	switch {
	case r.Approval == "" || r.Approval == f.standing[r.Tool].ID:
		return nil
	case a == nil || a.Agent.ID != r.Agent.ID || a.Tool != r.Tool || a.Account != account.ID:
		return lack
	case a.State == vault.ApprovalRan && a.call == r.Call:
		return nil
	case a.State == vault.ApprovalRan:
		lack.Err = &vault.RanError{At: a.Ran}
		return lack
	case a.State != vault.ApprovalApproved:
		return lack
	}
	a.State, a.Ran, a.call = vault.ApprovalRan, time.Now(), r.Call
	return nil
}
