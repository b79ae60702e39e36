package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Changed   bool
	Default   bool
	GrantedBy string // agent id whose ticket led to the grant, or "person"
	Created   time.Time
	Refreshed time.Time // last refresh
	Used      time.Time
	Expires   time.Time // of the access token at hand, zero = no end known
	NextTry   time.Time
	LastError string // our code
	Failures  int
}

func (v *Vault) view(a account) Account {
	c := v.conns[a.row.Connection]
	out := Account{
		ID: a.row.ID, Connection: a.row.Connection, Label: a.profile.label(), Owner: a.profile.Owner,
		Scopes: provider.ParseScopes(a.row.Scopes), State: GrantState(a.row.State), Changed: !bound(a.row, c),
		Default: a.row.IsDefault, GrantedBy: a.row.GrantedBy, LastError: a.row.LastError, Failures: int(a.row.FailCount),
		Created: FromMillis(a.row.Created), Refreshed: FromMillis(a.row.Refreshed), Used: FromMillis(a.row.Used),
		Expires: FromMillis(a.row.AccessExp), NextTry: FromMillis(a.row.NextTry),
	}
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

// Revoke ends a grant and every agent's access to it: local use stops at once
// and for good, then the vendor is told. atVendor says whether the vendor confirmed; when it did not, the reason
// is an error beside a grant that is nonetheless over.
func (v *Vault) Revoke(ctx context.Context, c Caller, id string) (atVendor bool, err error) {
	var before GrantRow
	var t tokens
	err = v.store.Update(ctx, func(tx Tx) error {
		if before, err = v.owned(tx, c, id); err != nil {
			return err
		}
		if t, err = v.openTokens(tx, before); err != nil {
			v.log.Error("a grant to revoke does not open", "grant", id, "error", err)
		}
		gone := before
		gone.State, gone.Gen, gone.Updated = string(GrantRevoked), before.Gen+1, v.now()
		gone.AccessCT, gone.RefreshCT, gone.RefreshFP, gone.AltCT, gone.AccessExp, gone.IsDefault = nil, nil, nil, nil, 0, false
		if err := tx.Grants().Swap(gone, before.Gen); err != nil {
			return err
		}
		if err := v.endAccessTo(tx, c, id); err != nil {
			return err
		}
		return v.append(tx, Entry{Kind: "grant.revoked", Caller: c, Connection: before.Connection, Account: id})
	})
	if err != nil {
		return false, err
	}
	return v.revokeAtVendor(context.WithoutCancel(ctx), before, t)
}

// revokeAtVendor spares a vendor grant that another account row of ours still
// lives on, and sends nothing where the tokens were not granted for.
func (v *Vault) revokeAtVendor(ctx context.Context, g GrantRow, t tokens) (bool, error) {
	conn := v.conns[g.Connection]
	if !bound(g, conn) || t.access.Token == "" && t.refresh == "" {
		return false, nil
	}
	if g.AccountKey == "" && conn.Provider().Revoke.Radius == "project" {
		return false, nil // nobody knows whose grant would go: it may be one that is in use
	}
	if g.AccountKey != "" {
		shared, err := v.shared(ctx, g)
		if err != nil || shared {
			return false, err
		}
	}
	if err := conn.Revoke(ctx, provider.NewSecret(t.access.Token), provider.NewSecret(t.refresh)); err != nil {
		v.log.Warn("the vendor did not confirm a revocation", "connection", g.Connection, "grant", g.ID, "error", err)
		return false, err
	}
	return conn.CanRevoke(ctx), nil
}

// shared says whether somebody else's row holds the same account at the vendor:
// a revocation there would take theirs too (Google revokes per project and account).
func (v *Vault) shared(ctx context.Context, g GrantRow) (found bool, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		rows, err := tx.Grants().List(GrantFilter{Connection: g.Connection, AccountKey: g.AccountKey})
		found = slices.ContainsFunc(rows, func(r GrantRow) bool { return r.ID != g.ID && r.State == string(GrantActive) })
		return err
	})
	return found, err
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
	return tx.Grants().Swap(r, r.Gen)
}
