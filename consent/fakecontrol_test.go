package consent_test

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/grantry/grantry/vault"
)

// fakeControl is what a person of the fake vault sees and ends.
type fakeControl struct {
	standing []vault.Standing
	stops    []vault.Stop
	activity []vault.Activity      // newest first
	queries  []vault.ActivityQuery // that Activity got
	revoked  vault.Revocation      // what Disconnect answers
}

func (f *fakeVault) Disconnect(_ context.Context, c vault.Caller, id string) (vault.Revocation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owners[id] != c.Subject {
		return vault.Revocation{}, vault.ErrNotFound
	}
	for i := range f.accounts {
		if f.accounts[i].ID == id {
			f.accounts[i].State = vault.GrantRevoked
		}
	}
	return f.revoked, nil
}

func (f *fakeVault) AccessList(_ context.Context, c vault.Caller) (out []vault.Access, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.access {
		if f.owners[a.Account] == c.Subject {
			out = append(out, f.named(a))
		}
	}
	return out, nil
}

// named fills in what the vault knows of the account.
func (f *fakeVault) named(x vault.Access) vault.Access {
	for _, a := range f.accounts {
		if a.ID == x.Account {
			x.Connection, x.Label = a.Connection, a.Label
		}
	}
	if x.Ends.IsZero() {
		x.Ends = x.Expires
	}
	return x
}

func (f *fakeVault) RevokeAccess(_ context.Context, c vault.Caller, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.access {
		if a.ID == id && f.owners[a.Account] == c.Subject {
			f.access = slices.Delete(f.access, i, i+1)
			return nil
		}
	}
	return vault.ErrNotFound
}

// Agents are those that a test names, else those that have access.
func (f *fakeVault) Agents(ctx context.Context, c vault.Caller) (out []vault.KnownAgent, err error) {
	if f.agents != nil {
		return f.agents, nil
	}
	access, _ := f.AccessList(ctx, c)
	for _, x := range access {
		i := slices.IndexFunc(out, func(k vault.KnownAgent) bool { return k.Key == f.AgentKey(x.Agent) })
		if i < 0 {
			k := vault.KnownAgent{Key: f.AgentKey(x.Agent), Agent: x.Agent, Group: x.Agent.Name + " " + x.Agent.Host, First: x.Created, Last: x.Used}
			for _, s := range f.standing {
				if f.owners[s.Account] == c.Subject && f.AgentKey(s.Agent) == k.Key {
					k.Standing = append(k.Standing, s)
				}
			}
			i, out = len(out), append(out, k)
		}
		out[i].Access = append(out[i].Access, x)
	}
	return out, nil
}

func (f *fakeVault) MoveAccess(ctx context.Context, c vault.Caller, from, to string) (n int, err error) {
	known, _ := f.Agents(ctx, c)
	old := slices.IndexFunc(known, func(k vault.KnownAgent) bool { return k.Key == from })
	target := slices.IndexFunc(known, func(k vault.KnownAgent) bool { return k.Key == to })
	switch {
	case old < 0 || target < 0:
		return 0, vault.ErrNotFound
	case known[old].Group != known[target].Group:
		return 0, vault.ErrForeign
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.access {
		if f.AgentKey(f.access[i].Agent) == from && f.owners[f.access[i].Account] == c.Subject {
			f.access[i].Agent = known[target].Agent
			n++
		}
	}
	return n, nil
}

func (f *fakeVault) EndStanding(_ context.Context, c vault.Caller, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.standing, func(s vault.Standing) bool { return s.ID == id && f.owners[s.Account] == c.Subject })
	if i < 0 {
		return vault.ErrNotFound
	}
	f.standing = slices.Delete(f.standing, i, i+1)
	return nil
}

// Stop ends the access within s; the owner of a stop is not kept: tests stop as one person.
func (f *fakeVault) Stop(_ context.Context, c vault.Caller, s vault.StopScope) (done vault.Stopped, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops = append(f.stops, vault.Stop{StopScope: s, Since: f.now()})
	f.access = slices.DeleteFunc(f.access, func(a vault.Access) bool {
		hit := f.owners[a.Account] == c.Subject && (s.Agent == "" || s.Agent == f.AgentKey(a.Agent)) && (s.Account == "" || s.Account == a.Account)
		if hit && s.Agent == "" {
			done.Access++
		}
		return hit && s.Agent == ""
	})
	return done, nil
}

func (f *fakeVault) Resume(_ context.Context, _ vault.Caller, s vault.StopScope) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.stops, func(x vault.Stop) bool { return x.StopScope == s })
	if i < 0 {
		return vault.ErrNotFound
	}
	f.stops = slices.Delete(f.stops, i, i+1)
	return nil
}

func (f *fakeVault) Stops(context.Context, vault.Caller) ([]vault.Stop, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.stops), nil
}

// Activity pages by number; what it filters by is the vault's own affair, the query is kept.
func (f *fakeVault) Activity(_ context.Context, c vault.Caller, q vault.ActivityQuery) (page []vault.Activity, next string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, q)
	from := 0
	if q.Before != "" {
		if from, err = strconv.Atoi(q.Before); err != nil {
			return nil, "", vault.ErrNotFound
		}
	}
	for i, a := range f.activity[min(from, len(f.activity)):] {
		fits := len(q.Kinds) == 0 || slices.ContainsFunc(q.Kinds, func(k string) bool {
			return k == a.Kind || strings.HasSuffix(k, ".") && strings.HasPrefix(a.Kind, k)
		})
		if len(page) == 50 {
			return page, strconv.Itoa(from + i), nil
		}
		if fits && f.Pseudonym(c) == a.User && (q.Tool == "" || q.Tool == a.Tool) {
			page = append(page, a)
		}
	}
	return page, "", nil
}
