package vault

import (
	"context"
	"errors"
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
	if fe := v.checkReceived(ctx, r); fe != nil {
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
		if a, err = v.storeReceived(tx, r, t); err != nil {
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

// checkReceived holds the e-mail rule, the pinned account, the scopes and the refresh token.
func (v *Vault) checkReceived(ctx context.Context, r received) *FlowError {
	if r.person.Email != "" && r.who.EmailVerified && r.who.Email != "" && !strings.EqualFold(r.who.Email, r.person.Email) {
		return &FlowError{Failure: FlowEmail, Got: r.who.Email, Want: r.person.Email}
	}
	had, pinned, err := v.holder(ctx, r)
	if err != nil {
		return &FlowError{Failure: FlowVault, Err: err}
	}
	if pinned != "" && pinned != v.accountKey(r.fl.Connection, r.who.ID) {
		return &FlowError{Failure: FlowAccount, Got: identityLabel(r.who), Want: had.profile.label()}
	}
	p := r.conn.Provider()
	if missing := p.Missing(r.grant.Scopes, eachOf(r.fl.Option.Scopes)); len(missing) > 0 {
		return &FlowError{Failure: FlowScopes, Missing: missing}
	}
	keeps := had.row.RefreshCT != nil && bound(had.row, r.conn)
	if r.grant.Refresh.IsZero() && !r.grant.Expiry.IsZero() && !keeps && !p.Refresh.AccessForever {
		return &FlowError{Failure: FlowNoRefresh}
	}
	return nil
}

func identityLabel(i *provider.Identity) string {
	return accountProfile{AccountID: i.ID, Email: i.Email, Name: i.Name}.label()
}

// holder is the person's row of this very account, if there is one, and the account key that the ticket pins.
func (v *Vault) holder(ctx context.Context, r received) (had account, pinned string, err error) {
	key := v.accountKey(r.fl.Connection, r.who.ID)
	err = v.store.View(ctx, func(tx Tx) error {
		all, err := v.accounts(tx, v.Pseudonym(r.fl.Owner))
		for _, a := range all {
			if a.row.ID == r.fl.Option.Grant {
				pinned = a.row.AccountKey
			}
			if a.row.AccountKey == key && a.row.Connection == r.fl.Connection || a.row.ID == r.fl.Option.Grant && had.row.ID == "" {
				had = a
			}
		}
		return err
	})
	return had, pinned, err
}

// storeReceived writes the person's row of this account: a new one, or the next
// generation of the one that they have. Reconnecting merges nothing by hand:
// what the vendor granted is what is stored.
func (v *Vault) storeReceived(tx Tx, r received, t Ticket) (account, error) {
	user, dek, err := v.ensureUser(tx, r.fl.Owner)
	if err != nil {
		return account{}, err
	}
	a := account{profile: accountProfile{AccountID: r.who.ID, Email: r.who.Email, Name: r.who.Name, Owner: r.person}}
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
	next := v.refreshed(a.row, had, r.grant)
	next.row.Scopes, next.row.Destination = provider.FormatScopes(r.grant.Scopes), r.conn.Destination()
	next.row.State, next.row.Unverified = string(GrantActive), false
	if err := errors.Join(v.sealTokens(dek, &next.row, next.tokens), v.sealProfile(dek, &next.row, a.profile)); err != nil {
		return a, err
	}
	a.row = next.row
	e := v.ticketEntry("grant.stored", t)
	e.Connection, e.Account, e.Scopes = r.fl.Connection, a.row.ID, r.grant.Scopes
	if err := v.append(tx, e); err != nil {
		return a, err
	}
	if !found {
		return a, tx.Grants().Insert(a.row)
	}
	if err := tx.Grants().Swap(a.row, old.Gen); err != nil {
		return a, err
	}
	return a, tx.Grants().Lease(a.row.ID, a.row.Gen, old.LeaseSeq, Lease{Seq: old.LeaseSeq})
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
	if r.who != nil {
		row.AccountKey = v.accountKey(r.fl.Connection, r.who.ID)
	}
	t := tokens{access: accessSet{Token: r.grant.Access.Reveal(), APIBase: r.grant.APIBase}, refresh: r.grant.Refresh.Reveal()}
	if _, err := v.revokeAtVendor(ctx, row, t); err != nil {
		v.log.Warn("a refused token could not be revoked", "connection", r.fl.Connection, "error", err)
	}
	return v.failed(ctx, r.fl, fe)
}

// printable is s as every database takes it: some agents name themselves.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
