package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// GrantState is the state of an account's grant.
type GrantState string

// The states of a grant.
const (
	GrantActive      GrantState = "active"
	GrantRevoked     GrantState = "revoked"     // revoked here or at the vendor
	GrantExpired     GrantState = "expired"     // the vendor no longer takes its refresh token
	GrantNoRefresh   GrantState = "no_refresh"  // ran out, and there never was a refresh token
	GrantQuarantined GrantState = "quarantined" // stored, but identity or blob did not check out
)

// Account is a user's account at a connection, as people see it.
type Account struct {
	ID         string
	Connection string
	Provider   string
	Label      string // e-mail at the vendor, else name, else vendor id
	Owner      Person
	Scopes     []string // granted
	State      GrantState
	// Changed says that the config no longer sends its tokens where they were granted for (connection_changed).
	Changed bool
	// Taken says of a revoked one that its vendor ended it: nobody disconnected it here.
	Taken     bool
	Default   bool
	GrantedBy string // agent id whose ticket led to the grant, or "person"
	Created   time.Time
	Refreshed time.Time // last refresh
	Used      time.Time
	Expires   time.Time // of the access token at hand, zero = no end known
	EndsBy    time.Time // when the vendor ends the grant whatever is done (a Google project in testing), zero = not known
	NextTry   time.Time
	LastError string // our code
	Failures  int
}

func (v *Vault) view(a account) Account {
	c := v.conns[a.row.Connection]
	out := Account{
		ID: a.row.ID, Connection: a.row.Connection, Label: a.profile.label(), Owner: a.profile.Owner,
		Scopes: provider.ParseScopes(a.row.Scopes), State: GrantState(a.row.State), Changed: !bound(a.row, c),
		Taken:  GrantState(a.row.State) == GrantRevoked && a.row.AccessCT != nil,
		EndsBy: FromMillis(a.profile.Ends), Default: a.row.IsDefault, GrantedBy: a.row.GrantedBy, Failures: int(a.row.FailCount),
		Created: FromMillis(a.row.Created), Refreshed: FromMillis(a.row.Refreshed), Used: FromMillis(a.row.Used),
		Expires: FromMillis(a.row.AccessExp),
	}
	out.NextTry, out.LastError = v.nextTry(a.row)
	if c != nil {
		out.Provider = c.Provider().Name
	}
	return out
}

// Accounts are the caller's accounts, revoked ones included, oldest first.
func (v *Vault) Accounts(ctx context.Context, c Caller) ([]Account, error) {
	return v.listAccounts(ctx, v.Pseudonym(c))
}

// AllAccounts are everybody's accounts: the operator's view, never an agent's.
func (v *Vault) AllAccounts(ctx context.Context) ([]Account, error) { return v.listAccounts(ctx, "") }

func (v *Vault) listAccounts(ctx context.Context, user string) (out []Account, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		as, err := v.accounts(tx, user)
		out = make([]Account, 0, len(as))
		for _, a := range as {
			out = append(out, v.view(a))
		}
		return err
	})
	return out, err
}

// Account answers one of the caller's accounts by id or label; another person's is ErrNotFound like an unknown one (R42).
func (v *Vault) Account(ctx context.Context, c Caller, ref string) (Account, error) {
	all, err := v.Accounts(ctx, c)
	if err != nil {
		return Account{}, err
	}
	var found []Account
	for _, a := range all {
		if a.ID == ref {
			return a, nil
		}
		if strings.EqualFold(a.Label, ref) {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return Account{}, fmt.Errorf("looking up account: %w", ErrNotFound)
	case 1:
		return found[0], nil
	}
	return Account{}, fmt.Errorf("looking up account: %w", ErrConflict)
}

// owned reads a grant of this caller for a change.
func (v *Vault) owned(tx Tx, c Caller, id string) (GrantRow, error) {
	g, err := tx.Grants().Get(id)
	if err != nil || g.User != v.Pseudonym(c) {
		return GrantRow{}, fmt.Errorf("looking up account: %w", ErrNotFound)
	}
	return g, nil
}

// SetDefault marks one account of its connection, and unmarks the others.
func (v *Vault) SetDefault(ctx context.Context, c Caller, id string) error {
	return v.store.Update(ctx, func(tx Tx) error {
		g, err := v.owned(tx, c, id)
		if err != nil {
			return err
		}
		rows, err := tx.Grants().List(GrantFilter{User: g.User})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Connection != g.Connection || r.IsDefault == (r.ID == id) {
				continue
			}
			r.IsDefault, r.Updated = r.ID == id, v.now()
			if err := tx.Grants().Swap(r, r.Gen); err != nil {
				return err
			}
		}
		return v.append(tx, Entry{Kind: "account.default", Caller: c, Connection: g.Connection, Account: id})
	})
}

// ConfirmConnection is the operator's word that existing grants of a connection
// may go to its new addresses: every blob is sealed anew for the new
// destination. It answers how many grants were bound.
func (v *Vault) ConfirmConnection(ctx context.Context, name string) (n int, err error) {
	conn, ok := v.conns[name]
	if !ok {
		return 0, fmt.Errorf("confirming connection %q: %w", name, ErrNotFound)
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		n = 0
		rows, err := tx.Grants().List(GrantFilter{})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Connection != name || bound(r, conn) {
				continue
			}
			switch err := v.rebind(tx, r, conn.Destination()); {
			case damaged(err): // stays bound to where it was, and unused
				v.log.Error("a grant does not open", "grant", r.ID)
			case err != nil:
				return err
			default:
				n++
			}
		}
		return v.append(tx, Entry{Kind: "connection.confirmed", Connection: name})
	})
	return n, err
}

func (v *Vault) rebind(tx Tx, r GrantRow, destination []byte) error {
	var profile accountProfile
	if err := v.openColumn(tx, r, colProfile, &profile); err != nil {
		return err
	}
	t, err := v.openTokens(tx, r)
	if err != nil {
		return err
	}
	dek, err := v.userDEK(tx, r.User)
	if err != nil {
		return err
	}
	r.Destination, r.Updated = destination, v.now()
	if err := errors.Join(v.sealTokens(dek, &r, t), v.sealProfile(dek, &r, profile)); err != nil {
		return err
	}
	return errors.Join(tx.Grants().Swap(r, r.Gen), v.dropNarrowed(tx, r))
}
