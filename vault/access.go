package vault

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// onceOpen marks access for one call that was not made yet.
const onceOpen = "open"

// onceTTL is how long access for one call waits for that call.
const onceTTL = 10 * time.Minute

// UnusedFor is how long access lasts that nobody uses.
const UnusedFor = 90 * 24 * time.Hour

// Access is one agent's permission to use one account.
type Access struct {
	ID         string
	Owner      Person // AllAccess only
	Agent      Agent
	Account    string // Account.ID
	Connection string
	Label      string // of the account
	Scopes     []string
	Once       bool
	Spent      bool // for one call, which was made
	Wider      bool // its owner was told that the agent is handed tokens that can do more than Scopes (Ticket.Wider)
	Expires    time.Time
	Ends       time.Time // Expires, or UnusedFor after the last use if that is earlier
	First      time.Time // when it was given first, to this agent and account
	Created    time.Time // when it was given, last
	Used       time.Time

	key string // AgentKey, also where Agent does not open
}

// ends is when an access ends if nobody uses it any more.
func ends(r AccessRow) int64 {
	if r.Once != "" {
		return r.Expires
	}
	return min(r.Expires, max(r.Used, r.Created)+UnusedFor.Milliseconds())
}

// AccessList are the caller's permissions, also those that have ended.
func (v *Vault) AccessList(ctx context.Context, c Caller) (out []Access, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		out, err = v.accessOf(tx, v.Pseudonym(c))
		return err
	})
	return out, err
}

func (v *Vault) accessOf(tx Tx, user string) ([]Access, error) {
	rows, err := tx.Access().List(user)
	if err != nil || len(rows) == 0 {
		return []Access{}, err
	}
	accounts, err := v.accounts(tx, user)
	if err != nil {
		return nil, err
	}
	out := make([]Access, 0, len(rows))
	for _, r := range rows {
		a := Access{
			ID: r.ID, Account: r.Grant, Scopes: provider.ParseScopes(r.Scopes), Once: r.Once != "", Spent: r.Once != "" && r.Once != onceOpen, key: r.Agent,
			Expires: FromMillis(r.Expires), Ends: FromMillis(ends(r)), Created: FromMillis(r.Created), Used: FromMillis(r.Used),
		}
		if i := slices.IndexFunc(accounts, func(a account) bool { return a.row.ID == r.Grant }); i >= 0 {
			a.Connection, a.Label = accounts[i].row.Connection, accounts[i].profile.label()
		}
		holder, err := v.openHolder(tx, r)
		if damaged(err) {
			holder = accessHolder{Agent: Agent{ID: "unknown"}} // shown, so that it can be taken away; it gives nothing
		} else if err != nil {
			return nil, err
		}
		if a.Agent, a.First, a.Wider = holder.Agent, a.Created, holder.Wider; holder.First != 0 {
			a.First = FromMillis(holder.First)
		}
		out = append(out, a)
	}
	return out, nil
}

// RevokeAccess ends one agent's permission; ErrNotFound for another person's, too.
func (v *Vault) RevokeAccess(ctx context.Context, c Caller, id string) error {
	defer v.bell.ring()
	return v.store.Update(ctx, func(tx Tx) error {
		user := v.Pseudonym(c)
		rows, err := tx.Access().List(user)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r AccessRow) bool { return r.ID == id })
		if i < 0 {
			return ErrNotFound
		}
		return v.endAccess(tx, c, rows[i])
	})
}

func (v *Vault) endAccess(tx Tx, c Caller, r AccessRow) error {
	if err := tx.Access().Delete(r.User, r.ID); err != nil {
		return err
	}
	e := Entry{Kind: "access.revoked", Caller: c, user: r.User, Account: r.Grant, Scopes: provider.ParseScopes(r.Scopes)}
	if err := v.openAgent(tx, r, &e.Agent); err != nil && !damaged(err) {
		return err
	}
	same := func(a Agent, account string) bool { return account == r.Grant && v.agentKey(a) == r.Agent }
	return errors.Join(v.append(tx, e), v.endApprovals(tx, c, same))
}

// endAccessTo ends every agent's access to a grant: a revoked account that is
// connected again later, for one agent, is not open again to the others.
func (v *Vault) endAccessTo(tx Tx, c Caller, grant string) error {
	rows, err := tx.Access().List(v.Pseudonym(c))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Grant != grant {
			continue
		}
		if err := v.endAccess(tx, c, r); err != nil {
			return err
		}
	}
	return nil
}

// accessPlace holds all that an access permits, so that a row that was changed
// in the database does not open.
func (v *Vault) accessPlace(r AccessRow) seal.Place {
	permits := v.index("access", r.Agent, r.Grant, r.Scopes, strconv.FormatInt(r.Expires, 10), strconv.FormatBool(r.Once == ""))
	return seal.Place{Tenant: v.id, Subject: r.User, Table: "access", Column: "agent", Row: r.ID, Destination: []byte(permits)}
}

// accessHolder is what lies sealed in an access: who has it, and since when.
type accessHolder struct {
	Agent
	First int64 `json:"first,omitempty"` // when it was given first; 0 = when it was given last
	Wider bool  `json:"wider,omitempty"` // its owner was told that tokens can do more than they said yes to (Ticket.Wider)
}

func (v *Vault) openAgent(tx Tx, r AccessRow, into *Agent) error {
	h, err := v.openHolder(tx, r)
	if err == nil {
		*into = h.Agent
	}
	return err
}

func (v *Vault) openHolder(tx Tx, r AccessRow) (h accessHolder, err error) {
	id, err := seal.BlobDEK(r.AgentCT)
	if err != nil {
		return h, err
	}
	dek, err := v.dataKeyByID(tx, r.User, id[:])
	if err != nil {
		return h, err
	}
	return h, openJSON(dek, v.accessPlace(r), r.AgentCT, &h)
}

// since is what lies in an access before it is changed: since when it has been given, as far as the row knows.
func (v *Vault) since(tx Tx, r AccessRow) (accessHolder, error) {
	h, err := v.openHolder(tx, r)
	if err != nil && !damaged(err) {
		return h, err
	}
	h.First = cmp.Or(h.First, r.Created)
	return h, nil
}

// giveAccess lets an agent use an account up to scopes, on top of what it may already.
func (v *Vault) giveAccess(tx Tx, user string, agent Agent, grant string, scopes []string, yes terms) error {
	now := v.now()
	if err := v.stopped(tx, user, v.agentKey(agent), grant); err != nil {
		return err
	}
	holder := accessHolder{Agent: agent, First: now, Wider: yes.Wider}
	row, err := tx.Access().Get(user, v.agentKey(agent), grant)
	switch {
	case err == nil:
		had, err := v.since(tx, row)
		if err != nil {
			return err
		}
		holder.First, holder.Wider = had.First, holder.Wider || had.Wider && row.Once == "" && ends(row) > now
	case errors.Is(err, ErrNotFound):
		id, err := v.newID("acc_")
		if err != nil {
			return err
		}
		row = AccessRow{ID: id, User: user, Agent: v.agentKey(agent), Grant: grant, Created: now}
	default:
		return err
	}
	lasting := row.Once == "" && ends(row) > now
	switch {
	case yes.Once && lasting && !yes.Wider && v.covers(tx, grant, row, scopes):
		return nil // it may already, and for longer
	case yes.Once:
		row.Scopes, row.Once, row.Expires = provider.FormatScopes(scopes), onceOpen, now+onceTTL.Milliseconds()
	default:
		if lasting {
			scopes = provider.Union(provider.ParseScopes(row.Scopes), scopes)
		}
		row.Scopes, row.Once, row.Expires = provider.FormatScopes(scopes), "", now+v.accessTTL(yes).Milliseconds()
	}
	row.Created = now // a person has just thought of it: it is not the one that nobody uses
	return v.putAccess(tx, row, holder)
}

func (v *Vault) putAccess(tx Tx, row AccessRow, holder accessHolder) error {
	dek, err := v.userDEK(tx, row.User)
	if err != nil {
		return err
	}
	if row.AgentCT, err = sealJSON(dek, v.accessPlace(row), holder); err != nil {
		return err
	}
	return tx.Access().Put(row)
}

// covers says whether access to a grant reaches all of scopes by the provider's rules.
func (v *Vault) covers(tx Tx, grant string, row AccessRow, scopes []string) bool {
	g, err := tx.Grants().Get(grant)
	if err != nil {
		return false
	}
	conn, ok := v.conns[g.Connection]
	return ok && len(conn.Provider().Missing(provider.ParseScopes(row.Scopes), eachOf(scopes))) == 0
}

// eachOf is the need of every one of scopes.
func eachOf(scopes []string) provider.Need {
	var n provider.Need
	for _, s := range scopes {
		n.Groups = append(n.Groups, []string{s})
	}
	return n
}

// open says whether an access holds now, for this call.
func (v *Vault) open(row AccessRow, call string) bool {
	return ends(row) > v.now() && (row.Once == "" || row.Once == onceOpen || row.Once == v.callKey(call))
}

// spent is what Once becomes with its use. A call without an id spends it for itself alone.
func (v *Vault) spent(row AccessRow, call string) (string, error) {
	switch {
	case row.Once != onceOpen:
		return row.Once, nil
	case call == "":
		return v.newID("call_")
	}
	return v.callKey(call), nil
}

// callKey is never "" or "open", whatever a call's id is.
func (v *Vault) callKey(call string) string { return v.index("call", call) }

// allowed says whether the agent's access reaches the need of p now, for this call. An access that does not open was changed, and reaches nothing.
func (v *Vault) allowed(from source, r Request, p *picked) (bool, error) {
	row := p.access
	if !v.open(row, r.Call) || len(p.conn.Provider().Missing(provider.ParseScopes(row.Scopes), p.need)) > 0 {
		return false, nil
	}
	h, err := from.holder(v, p)
	if damaged(err) {
		v.log.Error("an access does not open", "access", row.ID, "grant", row.Grant)
		return false, nil
	}
	p.wider = h.Wider
	return err == nil, err
}
