package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grantry/grantry/vault/provider"
)

// ErrRevocationPending says that a grant is over here, and that its vendor has
// not confirmed: it is asked again in the background for seven days.
var ErrRevocationPending = errors.New("the vendor has not confirmed yet")

// Revoke ends a grant and every agent's access to it: local use stops at once
// and for good, then the vendor is told. atVendor says whether the vendor confirmed;
// when it did not, the error is ErrRevocationPending beside a grant that is nonetheless over.
func (v *Vault) Revoke(ctx context.Context, c Caller, id string) (atVendor bool, err error) {
	r, err := v.revokeFor(ctx, c, id, "")
	return r.AtVendor, err
}

// Revocation is what became of a disconnected account at its vendor. All false and "": there was nothing to tell it.
type Revocation struct {
	AtVendor bool   // the vendor confirmed
	Pending  bool   // it has not, and is asked again for seven days
	Kept     string // label of another account that lives on the same grant at the vendor, which therefore was not told
}

// Disconnect is Revoke with a full answer of what happened; an error says that the account is as it was.
func (v *Vault) Disconnect(ctx context.Context, c Caller, id string) (Revocation, error) {
	r, err := v.revokeFor(ctx, c, id, "")
	return r, unless(ErrRevocationPending, err)
}

// revokeFor is Revoke with a reason for the audit.
func (v *Vault) revokeFor(ctx context.Context, c Caller, id, reason string) (r Revocation, err error) {
	defer v.bell.ring()
	var o *owed
	err = v.store.Update(ctx, func(tx Tx) error {
		before, err := v.owned(tx, c, id)
		if err != nil {
			return err
		}
		if err := v.endAccessTo(tx, c, id); err != nil {
			return err
		}
		if o, err = v.endGrant(tx, before, reason); err != nil || o != nil {
			return err
		}
		r.Kept, err = v.keptFor(tx, before)
		return err
	})
	if err != nil || o == nil {
		return r, err
	}
	r.AtVendor, err = v.settle(context.WithoutCancel(ctx), o)
	r.Pending = errors.Is(err, ErrRevocationPending)
	return r, err
}

// endGrant takes the tokens out of a row, and answers what its vendor is owed:
// nil where there is nothing to tell. In the same transaction that is written
// down, so that a crash before the vendor was asked loses nothing.
func (v *Vault) endGrant(tx Tx, before GrantRow, reason string) (*owed, error) {
	t, err := v.openTokens(tx, before)
	if err != nil {
		v.log.Error("a grant to revoke does not open", "grant", before.ID, "error", err)
	}
	gone := before
	gone.State, gone.Gen, gone.Updated = string(GrantRevoked), before.Gen+1, v.now()
	gone.AccessCT, gone.RefreshCT, gone.RefreshFP, gone.AltCT, gone.AccessExp, gone.IsDefault = nil, nil, nil, nil, 0, false
	if err := errors.Join(tx.Grants().Swap(gone, before.Gen), v.dropNarrowed(tx, before)); err != nil {
		return nil, err
	}
	if err := v.append(tx, Entry{Kind: "grant.revoked", user: before.User, Connection: before.Connection, Account: before.ID, Reason: reason}); err != nil {
		return nil, err
	}
	who, err := v.vendorID(tx, before)
	if err != nil {
		return nil, err
	}
	return v.owe(tx, before, t, who)
}

// revokeAtVendor gives back tokens that no row holds. Where even the store does
// not work the vendor is asked all the same, once. who is the vendor's id of the account, "" when unknown.
func (v *Vault) revokeAtVendor(ctx context.Context, g GrantRow, t tokens, who string) (bool, error) {
	var o *owed
	err := v.store.Update(ctx, func(tx Tx) (err error) {
		if who == "" && g.ProfileCT != nil {
			if who, err = v.vendorID(tx, g); err != nil {
				return err
			}
		}
		o, err = v.owe(tx, g, t, who)
		return err
	})
	if err != nil {
		o = v.debt(g, t)
	}
	if o == nil {
		return false, nil
	}
	return v.settle(ctx, o)
}

// revocation is what a vendor has yet to be told: the sealed form of its record.
// It is the vault's own, because it outlives the user.
type revocation struct {
	V           int    `json:"v"`
	User        string `json:"user"` // pseudonym, for the audit
	Grant       string `json:"grant"`
	Connection  string `json:"connection"`
	Destination []byte `json:"destination"`
	AccountKey  string `json:"account_key"`
	// Shared are the keys of the same account on other connections that the revocation reaches, by connection.
	Shared  map[string]string `json:"shared,omitempty"`
	Access  string            `json:"access,omitempty"`
	Refresh string            `json:"refresh,omitempty"`
	Since   int64             `json:"since"`
	NextTry int64             `json:"next_try"`
	Tries   int               `json:"tries"`
}

// owed is a revocation with its record, which is zero where it could not be stored.
type owed struct {
	revocation
	rec Record
}

// debt is nil where there is nothing to send, or it must not be sent: where the
// tokens were not granted for, or when nobody knows whose grant would go.
func (v *Vault) debt(g GrantRow, t tokens) *owed {
	conn := v.conns[g.Connection]
	if !bound(g, conn) || t.access.Token == "" && t.refresh == "" || conn.Provider().Revoke.Style == provider.RevokeNone {
		return nil
	}
	if g.AccountKey == "" && conn.Provider().Revoke.Radius == "project" {
		return nil // it may be one that is in use
	}
	return &owed{revocation: revocation{
		V: 1, User: g.User, Grant: g.ID, Connection: g.Connection, Destination: g.Destination, AccountKey: g.AccountKey,
		Access: t.access.Token, Refresh: t.refresh, Since: v.now(), NextTry: v.now() + firstTry.Milliseconds(),
	}}
}

// owe writes down what a vendor is to be told.
func (v *Vault) owe(tx Tx, g GrantRow, t tokens, who string) (*owed, error) {
	o := v.debt(g, t)
	if o == nil {
		return nil, nil
	}
	o.Shared = v.shared(g.Connection, who)
	if keeper, err := v.keeper(tx, o.revocation); err != nil || keeper != nil {
		return nil, err
	}
	handle, err := v.random(32)
	if err != nil {
		return nil, err
	}
	o.rec = Record{Kind: recRevocation, Hash: handleHash(handle), Expires: o.Since + debtKept.Milliseconds()}
	return o, v.putDebt(tx, o)
}

// putDebt stores the next version of a debt.
func (v *Vault) putDebt(tx Tx, o *owed) error {
	plain, err := json.Marshal(o.revocation)
	if err != nil {
		return err
	}
	rec := o.rec
	rec.Version++
	if rec.Value, err = v.root.Seal(v.recordPlace(rec), plain); err != nil {
		return err
	}
	if err := tx.Records().Put(rec, v.now()); err != nil {
		return fmt.Errorf("writing down a revocation: %w", err)
	}
	o.rec = rec
	return nil
}

// keeper is a row of ours that lives on the same grant at the vendor, so that a revocation
// would take that too; nil when there is none.
func (v *Vault) keeper(tx Tx, r revocation) (*GrantRow, error) {
	if r.AccountKey == "" {
		return nil, nil
	}
	all := maps.Clone(r.Shared)
	if all == nil {
		all = map[string]string{}
	}
	all[r.Connection] = r.AccountKey
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows, err := tx.Grants().List(GrantFilter{Connection: name, AccountKey: all[name]})
		if err != nil {
			return nil, err
		}
		for _, g := range rows {
			if g.State == string(GrantActive) {
				return &g, nil
			}
		}
	}
	return nil, nil
}

// shared are the keys of an account on the connections that a revocation on one reaches, too: Google
// ends all that a person gave to a project, whichever of its clients asked.
func (v *Vault) shared(connection, who string) map[string]string {
	conn := v.conns[connection]
	if conn == nil || who == "" {
		return nil
	}
	keys := map[string]string{}
	for _, name := range v.names {
		if name != connection && conn.SharesGrants(v.conns[name]) {
			keys[name] = v.accountKey(name, who)
		}
	}
	return keys
}

// vendorID is the vendor's id of a grant's account, "" when its profile does not open.
func (v *Vault) vendorID(tx Tx, g GrantRow) (string, error) {
	a, err := v.withProfile(tx, g)
	return a.profile.AccountID, err
}

// keptFor is the label of the account for whose sake the vendor of an ended grant was not told, "" when there is none.
func (v *Vault) keptFor(tx Tx, ended GrantRow) (string, error) {
	conn := v.conns[ended.Connection]
	if conn == nil || conn.Provider().Revoke.Style == provider.RevokeNone {
		return "", nil
	}
	who, err := v.vendorID(tx, ended)
	if err != nil {
		return "", err
	}
	g, err := v.keeper(tx, revocation{
		Grant: ended.ID, Connection: ended.Connection, AccountKey: ended.AccountKey, Shared: v.shared(ended.Connection, who),
	})
	if err != nil || g == nil {
		return "", err
	}
	a, err := v.withProfile(tx, *g)
	return a.profile.label(), err
}
