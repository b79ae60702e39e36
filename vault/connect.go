package vault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/grantry/grantry/vault/provider"
)

// received is a token set from a vendor that is not stored yet.
type received struct {
	fl     flow
	person Person
	conn   *provider.Connection
	grant  *provider.Grant
	who    *provider.Identity
}

// accept learns whose account the tokens are, proves that they are what was
// asked for, and stores them. What does not check out is given back to the vendor.
func (v *Vault) accept(ctx context.Context, fl flow, p Person, g *provider.Grant) (Ticket, Account, error) {
	r := received{fl: fl, person: p, conn: v.conns[fl.Connection], grant: g}
	var err error
	if r.who, err = r.conn.Identify(ctx, g, fl.Nonce); err != nil {
		return Ticket{}, Account{}, v.giveBack(ctx, r, &FlowError{Failure: FlowIdentity, Err: err})
	}
	switch fe := v.checkReceived(ctx, r); {
	case fe == nil && fl.App:
		return v.holdForApp(ctx, r)
	case fe == nil:
	case fe.Held:
		return Ticket{}, Account{}, v.hold(ctx, r, fe)
	default:
		return Ticket{}, Account{}, v.giveBack(ctx, r, fe)
	}
	var t Ticket
	var a account
	err = v.store.Update(ctx, func(tx Tx) error {
		if t, err = v.ticket(tx, v.handleOf(fl.Ticket)); err != nil {
			return err
		}
		if t.Over() {
			return ErrGone
		}
		if a, err = v.storeReceived(tx, r, &t); err != nil {
			return err
		}
		return v.complete(tx, &t, a.row, fl.Option, fl.terms)
	})
	v.bell.ring()
	switch {
	case errors.Is(err, ErrGone): // declined or done meanwhile
		return Ticket{}, Account{}, v.giveBack(ctx, r, &FlowError{Failure: FlowState, Err: err})
	case err != nil:
		return Ticket{}, Account{}, v.giveBack(ctx, r, &FlowError{Failure: FlowVault, Err: err})
	}
	return t, v.view(a), nil
}

// checkReceived holds the operator's rule, the scopes and the refresh token, and
// then whose account it is: what is of another than expected is to be held, and not lost.
func (v *Vault) checkReceived(ctx context.Context, r received) *FlowError {
	if rule := v.cfg.Rules[r.fl.Connection]; !rule.admits(r.who) {
		return &FlowError{Failure: FlowDomain, Got: identityLabel(r.who), Want: strings.Join(slices.Concat(rule.Domains, rule.Tenants), ", ")}
	}
	same, pinned, err := v.holder(ctx, r)
	if err != nil {
		return &FlowError{Failure: FlowVault, Err: err}
	}
	p, o := r.conn.Provider(), r.fl.Option
	missing := p.Missing(r.grant.Scopes, eachOf(leaving(o.Scopes, o.Optional)))
	if all := p.Missing(r.grant.Scopes, eachOf(o.Optional)); len(all) > 0 && len(all) == len(o.Optional) {
		missing = append(missing, all...) // of what may be left out, something must be left
	}
	if len(missing) > 0 {
		return &FlowError{Failure: FlowScopes, Missing: missing}
	}
	keeps := same.row.RefreshCT != nil && bound(same.row, r.conn)
	if r.grant.Refresh.IsZero() && !r.grant.Expiry.IsZero() && !keeps && !p.Refresh.AccessForever {
		return &FlowError{Failure: FlowNoRefresh}
	}
	switch {
	case same.row.ID != "" && same.row.ID == pinned.row.ID:
		return nil
	case pinned.row.ID != "":
		return &FlowError{Failure: FlowAccount, Got: identityLabel(r.who), Want: pinned.profile.label(), Held: true}
	case same.row.ID == "" && r.person.Email != "" && r.who.EmailVerified && r.who.Email != "" && !strings.EqualFold(r.who.Email, r.person.Email):
		return &FlowError{Failure: FlowEmail, Got: r.who.Email, Want: r.person.Email, Held: true}
	}
	return nil
}

func identityLabel(i *provider.Identity) string {
	return accountProfile{AccountID: i.ID, Email: i.Email, Name: i.Name}.label()
}

// holder is the person's row of this very account, and the one that the ticket names; zero where there is none.
func (v *Vault) holder(ctx context.Context, r received) (same, pinned account, err error) {
	key := v.accountKey(r.fl.Connection, r.who.ID)
	err = v.store.View(ctx, func(tx Tx) error {
		all, err := v.accounts(tx, v.Pseudonym(r.fl.Owner))
		for _, a := range all {
			if a.row.ID == r.fl.Option.Grant {
				pinned = a
			}
			if a.row.AccountKey == key && a.row.Connection == r.fl.Connection {
				same = a
			}
		}
		return err
	})
	return same, pinned, err
}

// storeReceived writes the person's row of this account: a new one, or the next
// generation of the one that they have. Reconnecting merges nothing by hand:
// what the vendor granted is what is stored, and t says what went.
func (v *Vault) storeReceived(tx Tx, r received, t *Ticket) (account, error) {
	user, dek, err := v.ensureUser(tx, r.fl.Owner)
	if err != nil {
		return account{}, err
	}
	owner := r.person
	owner.Claims = nil // of the session, not of the account
	a := account{profile: accountProfile{AccountID: r.who.ID, Email: r.who.Email, Name: r.who.Name, Owner: owner, Ends: endOf(r)}}
	key := v.accountKey(r.fl.Connection, r.who.ID)
	old, found, err := find(tx, user, r.fl.Connection, key)
	if err != nil {
		return a, err
	}
	had := tokens{}
	if a.row = old; !found {
		if a.row, err = v.freshRow(user, r.fl.Connection, key, t.Agent); err != nil {
			return a, err
		}
	} else if bound(old, r.conn) {
		if had, err = v.openTokens(tx, old); damaged(err) {
			had = tokens{} // does not open: replaced by what works
		} else if err != nil {
			return a, err
		}
	}
	if found && r.grant.Refresh.IsZero() {
		a.profile.Ends = v.endsBy(tx, old)
	}
	t.Lost = lost(r, provider.ParseScopes(a.row.Scopes))
	next := v.refreshed(a.row, had, r.grant)
	next.row.Scopes, next.row.Destination = provider.FormatScopes(r.grant.Scopes), r.conn.Destination()
	next.row.State, next.row.Unverified = string(GrantActive), false
	a.profile.Consent = next.row.Gen
	if err := errors.Join(v.sealTokens(dek, &next.row, next.tokens), v.sealProfile(dek, &next.row, a.profile)); err != nil {
		return a, err
	}
	a.row = next.row
	e := v.ticketEntry("grant.stored", *t)
	e.Connection, e.Account, e.Scopes = r.fl.Connection, a.row.ID, r.grant.Scopes
	if err := v.append(tx, e); err != nil {
		return a, err
	}
	if !found {
		return a, tx.Grants().Insert(a.row)
	}
	if err := errors.Join(tx.Grants().Swap(a.row, old.Gen), v.dropNarrowed(tx, old)); err != nil {
		return a, err
	}
	return a, tx.Grants().Lease(a.row.ID, a.row.Gen, old.LeaseSeq, Lease{Seq: old.LeaseSeq})
}

// lost are the scopes that the account had, or was asked for, and that the vendor did not grant.
func lost(r received, had []string) []string {
	p := r.conn.Provider()
	return slices.DeleteFunc(provider.Union(had, r.fl.Asked), func(s string) bool {
		return p.Covers(r.grant.Scopes, s) || p.IdentityOnly(s) || slices.Contains(r.fl.Left, s)
	})
}

// endOf is when the vendor ends the grant whatever is done: where a refresh
// renews no refresh token, the end of the first is the end of all (Google, of projects in testing).
func endOf(r received) int64 {
	if r.conn.Provider().Refresh.Rotates {
		return 0
	}
	return Millis(r.grant.RefreshEnd)
}

// endsBy is that end as a row has it, 0 where it is not known.
func (v *Vault) endsBy(tx Tx, g GrantRow) int64 {
	a, err := v.withProfile(tx, g)
	if err != nil || a.broken {
		return 0
	}
	return a.profile.Ends
}

func find(tx Tx, user, connection, key string) (GrantRow, bool, error) {
	rows, err := tx.Grants().List(GrantFilter{User: user})
	for _, r := range rows {
		if r.Connection == connection && r.AccountKey == key {
			return r, true, err
		}
	}
	return GrantRow{}, false, err
}

func (v *Vault) freshRow(user, connection, key string, by Agent) (GrantRow, error) {
	id, err := v.newID("a_")
	g := GrantRow{ID: id, User: user, Connection: connection, AccountKey: key, GrantedBy: printable(by.ID), Created: v.now()}
	if g.GrantedBy == "" {
		g.GrantedBy = "person"
	}
	return g, err
}

// giveBack revokes tokens that are not stored, unless an account of ours lives
// on the same vendor grant, and answers fe.
func (v *Vault) giveBack(ctx context.Context, r received, fe *FlowError) *FlowError {
	row := GrantRow{Connection: r.fl.Connection, Destination: r.conn.Destination()}
	who := ""
	if r.who != nil {
		who = r.who.ID
		row.AccountKey = v.accountKey(r.fl.Connection, r.who.ID)
	}
	t := tokens{access: accessSet{Token: r.grant.Access.Reveal(), APIBase: r.grant.APIBase}, refresh: r.grant.Refresh.Reveal()}
	if _, err := v.revokeAtVendor(ctx, row, t, who); err != nil {
		v.log.Warn("a refused token could not be revoked", "connection", r.fl.Connection, "error", err)
	}
	return v.failed(ctx, r.fl, fe)
}

// printable is s as every database takes it: some agents name themselves.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
