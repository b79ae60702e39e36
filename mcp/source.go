package mcp

import (
	"context"
	"slices"
	"sync"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// source gives one tool call its tokens, by [vault.Vault.Exchange] for its
// caller and agent. The call's own bearer from the MCP client never gets here.
type source struct {
	vault  Exchanger
	person vault.Person
	agent  vault.Agent
	tool   string
	call   string       // id of the call
	guard  *vault.Guard // nil = nobody can end it

	account  string // id of the account that an approved call runs on, "" = what the arguments say
	approval string // what a write runs under, "" = nothing that has to be spent
	looks    bool   // reads for the question about a write, and spends nothing

	mu    sync.Mutex
	needs []provider.Need
	last  *provider.Bearer
	heard heard
}

// begin forgets what was sent before: the question about a write reads, too.
func (s *source) begin() {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	s.heard.sent = false
}

func (s *source) end() {
	if s.guard != nil {
		s.guard.End()
	}
}

// Bearer implements tools.Source.
func (s *source) Bearer(ctx context.Context, needs []provider.Need, account string) (provider.Bearer, error) {
	return s.exchange(ctx, needs, account, nil)
}

// Renew implements tools.Source.
func (s *source) Renew(ctx context.Context, stale provider.Bearer) (provider.Bearer, error) {
	s.mu.Lock()
	needs := s.needs
	s.mu.Unlock()
	return s.exchange(ctx, needs, stale.Grant, &stale)
}

func (s *source) exchange(ctx context.Context, needs []provider.Need, account string, stale *provider.Bearer) (provider.Bearer, error) {
	if s.account != "" {
		account = s.account
	}
	r := vault.Request{
		Caller: s.person.Caller, Agent: s.agent, Needs: needs, Account: account,
		Tool: s.tool, Call: s.call, Approval: s.approval, Look: s.looks, Stale: stale,
	}
	if s.looks {
		r.Approval = ""
	}
	t, err := s.vault.Exchange(ctx, r)
	if err != nil {
		return provider.Bearer{}, err
	}
	if s.guard != nil {
		s.guard.Uses(t.Grant)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.needs, s.last = needs, &t.Bearer
	return t.Bearer, nil
}

// underScoped is what the vault would have said, had it known that an API asks
// for more than the grant has: with the scopes that the vendor named, as far
// as we know them, else with those that the tool needs. nil when no token was used.
func (s *source) underScoped(e *provider.ScopeError) *vault.ConsentError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || s.last.Connection == nil {
		return nil
	}
	b := s.last
	p := b.Connection.Provider()
	var ask, known []string
	for _, n := range s.needs {
		if n.Connection == b.Connection.Name() || n.Connection == "" && n.Provider == p.Name {
			ask = provider.Union(ask, n.Ask())
			known = append(known, slices.Concat(n.Groups...)...)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(e.Scopes), func(scope string) bool {
		return !inCatalog(p, scope) && !slices.Contains(known, scope)
	})
	if len(missing) == 0 {
		missing = ask
	}
	return &vault.ConsentError{
		Reason:  vault.UnderScoped,
		Account: b.Account,
		Options: []vault.Option{{
			Connection: b.Connection.Name(), Grant: b.Grant, VendorNeeded: true,
			Scopes: provider.Union(b.Scopes, missing), Missing: missing,
		}},
		Err: e,
	}
}

func inCatalog(p *provider.Provider, scope string) bool {
	if _, ok := p.Scope.Text[scope]; ok {
		return true
	}
	for wide, narrow := range p.Scope.Implies {
		if wide == scope || slices.Contains(narrow, scope) {
			return true
		}
	}
	return false
}
