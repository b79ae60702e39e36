package vault

import (
	"errors"
	"slices"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// terms are what an owner's yes comes with. They go with a flow to the vendor and back.
type terms struct {
	Once    bool          `json:"once,omitempty"`
	TTL     time.Duration `json:"ttl,omitempty"`
	Agents  []Agent       `json:"agents,omitempty"` // that get access: the ticket's own, or those that its owner named
	Approve ApproveFor    `json:"approve,omitempty"`
	Wider   bool          `json:"wider,omitempty"` // the page said that tokens can do more (Ticket.Wider)
	Move    string        `json:"move,omitempty"`  // key of the agent whose access goes over to the ticket's
}

// taken is the option that the owner took, without what they left out, and the terms of their yes.
func (v *Vault) taken(tx Tx, a Answer, t Ticket) (Option, terms, error) {
	yes := terms{Once: a.Once, TTL: a.TTL, Approve: a.Approve, Wider: t.Wider}
	o, ok := t.option(a.Connection)
	if _, known := v.conns[o.Connection]; !ok || !known {
		return o, yes, &ConsentError{Reason: ConnMisconfigured, Options: t.Options}
	}
	if rule := v.cfg.Rules[o.Connection]; !rule.allows(a.Person) {
		return o, yes, &RuleError{Connection: o.Connection, Claim: rule.Claim}
	}
	more := func(s string) bool { return !v.conns[o.Connection].Provider().IdentityOnly(s) }
	left := leaving(a.Without, leaving(a.Without, o.Optional)) // of what they left out, what they may
	if kept := leaving(o.Scopes, left); len(left) == 0 || slices.ContainsFunc(kept, more) {
		o.Scopes, o.Missing, o.Optional = kept, leaving(o.Missing, left), leaving(o.Optional, left)
	} else {
		return o, yes, ErrNoScopes
	}
	if t.Agent != (Agent{}) {
		yes.Agents = []Agent{t.Agent}
		if yes.Move = a.Move; yes.Move != "" {
			_, err := v.heir(tx, t.Owner.Caller, yes.Move, v.agentKey(t.Agent))
			return o, yes, err
		}
		return o, yes, nil
	}
	for _, key := range a.Agents {
		agent, err := v.met(tx, v.Pseudonym(t.Owner.Caller), key)
		if err != nil {
			return o, yes, err
		}
		if err := v.stopped(tx, v.Pseudonym(t.Owner.Caller), key, o.Grant); err != nil {
			return o, yes, err
		}
		yes.Agents = append(yes.Agents, agent)
	}
	return o, yes, nil
}

// withOptional are options that a person asks for themselves: of several things
// that they would allow at the vendor they may leave out any.
func (v *Vault) withOptional(options []Option) []Option {
	out := slices.Clone(options)
	for i, o := range out {
		conn, ok := v.conns[o.Connection]
		if !ok || !o.VendorNeeded || o.Optional != nil {
			continue
		}
		may := slices.DeleteFunc(slices.Clone(o.Scopes), conn.Provider().IdentityOnly)
		if len(may) > 1 {
			out[i].Optional = may
		}
	}
	return out
}

// leaving is scopes without some of them.
func leaving(scopes, some []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return slices.Contains(some, s) })
}

// met is an agent by its key that has or had access to an account of this user's, else ErrNotFound.
func (v *Vault) met(tx Tx, user, key string) (a Agent, err error) {
	rows, err := tx.Access().List(user)
	if err != nil {
		return a, err
	}
	for _, r := range rows {
		if r.Agent != key {
			continue
		}
		if err := v.openAgent(tx, r, &a); !damaged(err) {
			return a, err
		}
	}
	return a, ErrNotFound
}

// grantAccess answers a ticket that needs nothing of the vendor.
func (v *Vault) grantAccess(tx Tx, t *Ticket, o Option, yes terms) error {
	g, err := v.owned(tx, t.Owner.Caller, o.Grant)
	if err != nil {
		return err
	}
	conn := v.conns[g.Connection]
	if GrantState(g.State) != GrantActive || !bound(g, conn) || len(conn.Provider().Missing(provider.ParseScopes(g.Scopes), eachOf(o.Scopes))) > 0 {
		return ErrGone // the account changed since: the next call makes a ticket for what is lacking now
	}
	return v.complete(tx, t, g, o, yes)
}

// complete gives agents their access, approves the write, and closes the ticket.
func (v *Vault) complete(tx Tx, t *Ticket, g GrantRow, o Option, yes terms) error {
	if t.Kind != KindApprove {
		if err := v.letIn(tx, *t, g, o, yes); err != nil {
			return err
		}
		if yes.Move != "" { // what an earlier agent had, if it still has it
			if _, err := v.moveAccess(tx, t.Owner.Caller, yes.Move, v.agentKey(t.Agent)); unless(ErrNotFound, err) != nil {
				return err
			}
		}
	}
	if t.Approval != "" {
		if err := v.approve(tx, *t, g, yes.Approve); err != nil {
			return err
		}
	}
	t.State, t.Grant, t.Once, t.Failure, t.Held = TicketDone, g.ID, yes.Once, "", nil
	if err := v.putTicket(tx, g.User, t); err != nil {
		return err
	}
	return v.append(tx, v.ticketEntry("ticket.done", *t))
}

// letIn gives the agents of a yes their access, to what of the option the vendor
// granted. Whom the person stopped while they were at the vendor gets none; the account is theirs all the same.
func (v *Vault) letIn(tx Tx, t Ticket, g GrantRow, o Option, yes terms) error {
	granted, vendor := provider.ParseScopes(g.Scopes), v.conns[g.Connection].Provider()
	scopes := slices.DeleteFunc(slices.Clone(o.Scopes), func(s string) bool { return !vendor.Covers(granted, s) })
	for _, agent := range yes.Agents {
		err := v.giveAccess(tx, g.User, agent, g.ID, scopes, yes)
		if stopped := (*StoppedError)(nil); errors.As(err, &stopped) {
			continue
		}
		e := v.ticketEntry("access.granted", t)
		e.Agent, e.Connection, e.Account, e.Scopes = agent, g.Connection, g.ID, scopes
		if err := errors.Join(err, v.append(tx, e)); err != nil {
			return err
		}
	}
	return nil
}

// accessTTL is how long an agent's access lasts by its owner's word: never longer than the default.
func (v *Vault) accessTTL(yes terms) time.Duration {
	if yes.TTL <= 0 {
		return v.cfg.AccessTTL
	}
	return min(yes.TTL, v.cfg.AccessTTL)
}
