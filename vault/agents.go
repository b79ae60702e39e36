package vault

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// KnownAgent is an agent that a person has met: it has, had or asks for access to an account of theirs, or is stopped.
type KnownAgent struct {
	Key      string // AgentKey
	Agent    Agent
	Group    string // the same for agents of the same name and redirect host
	Access   []Access
	Standing []Standing
	First    time.Time
	Last     time.Time // of its last use or request
	Stopped  time.Time // when this agent or all were stopped; zero = it may go on
}

// Inherits says whether what an earlier agent may do may go over to k: both are
// of one group, k was met after it, and has somebody to vouch for its name if the earlier one had.
func (k KnownAgent) Inherits(earlier KnownAgent) bool {
	return k.Key != earlier.Key && k.Group == earlier.Group && earlier.First.Before(k.First) && (k.Agent.Verified || !earlier.Agent.Verified)
}

// AgentKey names an agent in forms and queries: a keyed hash of its issuer and id.
func (v *Vault) AgentKey(a Agent) string { return v.agentKey(a) }

// groupKey is a hint, not a proof: whoever registers a client gives it its name. That is why a person decides about a move.
func (v *Vault) groupKey(a Agent) string {
	return v.index("agent group", strings.ToLower(strings.TrimSpace(a.Label())), strings.ToLower(a.Host))
}

// Agents are those that the caller has met, by access (also access that has ended),
// open tickets and stops, the last used first.
func (v *Vault) Agents(ctx context.Context, c Caller) (out []KnownAgent, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		known, err := v.agents(tx, v.Pseudonym(c))
		out = slices.SortedFunc(maps.Values(known), func(a, b KnownAgent) int {
			return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Key, b.Key))
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing agents: %w", err)
	}
	return out, nil
}

// agents are by key.
func (v *Vault) agents(tx Tx, user string) (map[string]KnownAgent, error) {
	known := map[string]KnownAgent{}
	access, err := v.accessOf(tx, user)
	if err != nil {
		return nil, err
	}
	for _, a := range access {
		k := v.meet(known, a.key, a.Agent, a.First, latest(a.Created, a.Used))
		k.Access = append(k.Access, a)
		known[a.key] = k
	}
	tickets, err := v.waiting(tx, user)
	if err != nil {
		return nil, err
	}
	for _, t := range tickets {
		if t.Agent != (Agent{}) {
			key := v.agentKey(t.Agent)
			known[key] = v.meet(known, key, t.Agent, t.Created, t.Created)
		}
	}
	standing, err := v.standings(tx, user)
	if err != nil {
		return nil, err
	}
	for _, s := range standing {
		if k, met := known[v.agentKey(s.Agent)]; met {
			k.Standing = append(k.Standing, s)
			known[k.Key] = k
		}
	}
	return known, v.stoppedAgents(tx, user, known)
}

// meet is what is known of an agent with one more meeting: it is called what it was called last.
func (v *Vault) meet(known map[string]KnownAgent, key string, a Agent, first, last time.Time) KnownAgent {
	k, met := known[key]
	if !met {
		k = KnownAgent{Key: key, Agent: a, First: first}
	}
	if first.Before(k.First) {
		k.First = first
	}
	for _, at := range []time.Time{first, last} {
		if at.After(k.Last) {
			k.Last, k.Agent = at, a
		}
	}
	k.Group = v.groupKey(k.Agent)
	return k
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stoppedAgents notes who is stopped. Who was never seen but then is known by the stop.
func (v *Vault) stoppedAgents(tx Tx, user string, known map[string]KnownAgent) error {
	stops, err := v.stopsOf(tx, user)
	if err != nil {
		return err
	}
	for _, s := range stops {
		if s.Agent != "" && s.Account == "" {
			known[s.Agent] = v.meet(known, s.Agent, s.Who, s.Since, s.Since)
		}
		for key, k := range known {
			if s.Account == "" && (s.Agent == "" || s.Agent == key) && (k.Stopped.IsZero() || s.Since.Before(k.Stopped)) {
				k.Stopped = s.Since
				known[key] = k
			}
		}
	}
	return nil
}

// MoveAccess has one agent's access go over to another of its group, and says to
// how many accounts. Access for one call stays, and standing approvals end. Errors: ErrNotFound
// where the caller knows no such agents, ErrForeign where the new one does not
// inherit from the old one (KnownAgent.Inherits), *StoppedError.
func (v *Vault) MoveAccess(ctx context.Context, c Caller, from, to string) (n int, err error) {
	defer v.bell.ring()
	err = v.store.Update(ctx, func(tx Tx) error { n, err = v.moveAccess(tx, c, from, to); return err })
	return n, err
}

func (v *Vault) moveAccess(tx Tx, c Caller, from, to string) (n int, err error) {
	heir, err := v.heir(tx, c, from, to)
	if err != nil {
		return 0, err
	}
	rows, err := tx.Access().List(v.Pseudonym(c))
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.Agent != from || r.Once != "" || ends(r) <= v.now() {
			continue
		}
		if err := v.moveRow(tx, c, r, heir); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// heir is the agent that another's access may go over to.
func (v *Vault) heir(tx Tx, c Caller, from, to string) (Agent, error) {
	known, err := v.agents(tx, v.Pseudonym(c))
	if err != nil {
		return Agent{}, err
	}
	old, metOld := known[from]
	heir, metHeir := known[to]
	switch {
	case !metOld || !metHeir || from == to:
		return Agent{}, fmt.Errorf("moving access: %w", ErrNotFound)
	case !heir.Inherits(old):
		return Agent{}, fmt.Errorf("moving access: %w", ErrForeign)
	}
	return heir.Agent, nil
}

// moveRow takes one access from its agent and gives it to heir, no longer than it
// was given for. What heir has already stays, as long as the shorter of the two.
func (v *Vault) moveRow(tx Tx, c Caller, r AccessRow, heir Agent) error {
	if err := v.stopped(tx, r.User, v.agentKey(heir), r.Grant); err != nil {
		return err
	}
	id, err := v.newID("acc_")
	if err != nil {
		return err
	}
	next, first := r, v.now()
	next.ID, next.Agent = id, v.agentKey(heir)
	has, err := tx.Access().Get(r.User, next.Agent, r.Grant)
	if unless(ErrNotFound, err) != nil {
		return err
	}
	if err == nil {
		had, err := v.since(tx, has)
		if err != nil {
			return err
		}
		first = had.First
	}
	if err == nil && has.Once == "" && ends(has) > v.now() {
		next.ID, next.Expires = has.ID, min(has.Expires, r.Expires)
		next.Scopes = provider.FormatScopes(provider.Union(provider.ParseScopes(has.Scopes), provider.ParseScopes(r.Scopes)))
		next.Used = max(has.Used, r.Used)
	}
	if err := v.endAccess(tx, c, r); err != nil {
		return err
	}
	next.Created = v.now()
	if err := v.putAccess(tx, next, accessHolder{Agent: heir, First: first}); err != nil {
		return err
	}
	return v.append(tx, Entry{Kind: "access.granted", Caller: c, Agent: heir, Account: r.Grant, Scopes: provider.ParseScopes(next.Scopes), Reason: "moved"})
}
