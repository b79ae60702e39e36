package consent_test

import (
	"context"
	"fmt"

	"github.com/grantry/grantry/vault"
)

func (f *fakeVault) Approval(_ context.Context, owner vault.Caller, id string) (vault.Approval, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.approvals[id]
	if !ok || a.Owner != owner {
		return vault.Approval{}, vault.ErrNotFound
	}
	return a, nil
}

func (f *fakeVault) AgentKey(a vault.Agent) string {
	return fmt.Sprintf("%x", f.MAC("agent", []byte(a.Issuer+" "+a.ID)))[:12]
}

func (f *fakeVault) ConfirmHeld(_ context.Context, handle string, version int64, p vault.Person, session string) (vault.Ticket, vault.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.answerable(handle, p)
	switch {
	case err != nil:
		return t, vault.Account{}, err
	case t.Held == nil || version != t.Version:
		return t, vault.Account{}, vault.ErrStale
	case session != f.answers[len(f.answers)-1].Session:
		return t, vault.Account{}, &vault.FlowError{Failure: vault.FlowBrowser, Connection: t.Held.Connection, Ticket: t.ID}
	}
	a := vault.Account{ID: "grant-held", Connection: t.Held.Connection, Label: t.Held.Got, State: vault.GrantActive, Owner: p}
	f.accounts, f.owners[a.ID] = append(f.accounts, a), p.Caller.Subject
	t.State, t.Grant, t.Held, t.Version = vault.TicketDone, a.ID, nil, t.Version+1
	f.tickets[handle] = t
	return t, a, nil
}

func (f *fakeVault) ConnectCode(t vault.Ticket, _ string) (string, bool) {
	return "code-" + t.ID, t.App != nil && t.Held.ForApp()
}

func (f *fakeVault) RefuseHeld(_ context.Context, handle string, p vault.Person) (vault.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, err := f.answerable(handle, p)
	if err == nil {
		t.Held, t.State, t.Version = nil, vault.TicketOpen, t.Version+1
		f.tickets[handle] = t
	}
	return t, err
}
