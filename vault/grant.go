package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
)

// Columns of a grant row that are sealed, as they stand in the associated data.
const (
	colProfile = "profile"
	colAccess  = "access"
	colRefresh = "refresh"
	colAlt     = "alt"
)

// accountProfile is whose account a grant is, and whose vault it lies in.
type accountProfile struct {
	V         int    `json:"v"`
	AccountID string `json:"account_id"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	Owner     Person `json:"owner"`
	Consent   int64  `json:"consent,omitempty"` // generation that the last consent made
	Ends      int64  `json:"ends,omitempty"`    // when the vendor ends the grant whatever is done
}

func (p accountProfile) label() string {
	for _, s := range []string{p.Email, p.Name, p.AccountID} {
		if s != "" {
			return s
		}
	}
	return "account"
}

// accessSet is the sealed form of an access token with what belongs to it.
type accessSet struct {
	V       int    `json:"v"`
	Token   string `json:"token"`
	APIBase string `json:"api_base,omitempty"`
	IDToken string `json:"id_token,omitempty"` // of a refresh, until it was checked
	Gen     int64  `json:"gen,omitempty"`      // that the token came with, where narrowing refreshes came after it; 0 = the row's
}

// refreshSet is the sealed form of a refresh token.
type refreshSet struct {
	V     int    `json:"v"`
	Token string `json:"token"`
}

// place is the associated data of a grant's column: rebuilt from the row, never stored.
func (v *Vault) place(g GrantRow, column string) seal.Place {
	p := seal.Place{
		Tenant: v.id, Subject: g.User, Table: "grants", Column: column, Row: g.ID,
		Generation: uint64(g.Gen), Connection: g.Connection, Destination: g.Destination,
	}
	if column == colProfile {
		p.Generation = 0
	}
	return p
}

// openColumn opens a sealed column with the data key that the blob names.
func (v *Vault) openColumn(tx Tx, g GrantRow, column string, into any) error {
	blob := g.column(column)
	id, err := seal.BlobDEK(blob)
	if err != nil {
		return fmt.Errorf("opening %s of grant %s: %w", column, g.ID, err)
	}
	dek, err := v.dataKeyByID(tx, g.User, id[:])
	if err != nil {
		return fmt.Errorf("opening %s of grant %s: %w", column, g.ID, err)
	}
	if err := openJSON(dek, v.place(g, column), blob, into); err != nil {
		return fmt.Errorf("opening %s of grant %s: %w", column, g.ID, err)
	}
	return nil
}

func (g GrantRow) column(name string) []byte {
	switch name {
	case colProfile:
		return g.ProfileCT
	case colAccess:
		return g.AccessCT
	case colRefresh:
		return g.RefreshCT
	default:
		return g.AltCT
	}
}

// tokens are the opened secrets of a row.
type tokens struct {
	access  accessSet
	refresh string
	alt     string
}

// openTokens opens whatever secrets the row has.
func (v *Vault) openTokens(tx Tx, g GrantRow) (t tokens, err error) {
	if g.AccessCT != nil {
		if err := v.openColumn(tx, g, colAccess, &t.access); err != nil {
			return t, err
		}
	}
	if t.refresh, err = v.openRefresh(tx, g, colRefresh); err == nil {
		t.alt, err = v.openRefresh(tx, g, colAlt)
	}
	return t, err
}

func (v *Vault) openRefresh(tx Tx, g GrantRow, column string) (string, error) {
	if g.column(column) == nil {
		return "", nil
	}
	var r refreshSet
	err := v.openColumn(tx, g, column, &r)
	return r.Token, err
}

// sealTokens puts t into g, sealed for g.Gen and g.Destination.
func (v *Vault) sealTokens(dek *seal.DEK, g *GrantRow, t tokens) (err error) {
	g.AccessCT, g.RefreshCT, g.RefreshFP, g.AltCT = nil, nil, nil, nil
	if t.access.Token != "" || t.access.APIBase != "" || t.access.IDToken != "" { // a vendor may have killed the token alone
		t.access.V = 1
		if g.AccessCT, err = sealJSON(dek, v.place(*g, colAccess), t.access); err != nil {
			return err
		}
	}
	if t.refresh != "" {
		if g.RefreshCT, err = sealJSON(dek, v.place(*g, colRefresh), refreshSet{V: 1, Token: t.refresh}); err != nil {
			return err
		}
		g.RefreshFP = v.fingerprint(t.refresh)
	}
	if t.alt != "" {
		if g.AltCT, err = sealJSON(dek, v.place(*g, colAlt), refreshSet{V: 1, Token: t.alt}); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) sealProfile(dek *seal.DEK, g *GrantRow, p accountProfile) (err error) {
	p.V = 1
	g.ProfileCT, err = sealJSON(dek, v.place(*g, colProfile), p)
	return err
}

// fingerprint lets two refresh tokens be compared without opening either.
func (v *Vault) fingerprint(token string) []byte {
	m := hmac.New(sha256.New, v.keys.index)
	m.Write([]byte("refresh\x00" + token))
	return m.Sum(nil)
}

// accountKey is the keyed hash by which an account at a vendor is found again.
func (v *Vault) accountKey(connection, accountID string) string {
	return v.index("account", connection, accountID)
}

// agentKey is the keyed hash of an agent.
func (v *Vault) agentKey(a Agent) string { return v.index("agent", a.Issuer, a.ID) }

// account is a row with what of it was opened. A broken one is quarantined in
// effect, and not yet in the store.
type account struct {
	row     GrantRow
	profile accountProfile
	broken  bool
	access  AccessRow // of the agent that asks, where one does
	kept    *kept     // of one that is remembered, or will be
}

// errBroken says that a grant does not open.
var errBroken = errors.New("grant does not open")

// damaged says that a sealed value was moved or changed. Any other error, of the
// store or of a key that is not at hand, proves nothing about the value.
func damaged(err error) bool { return errors.Is(err, seal.ErrOpen) || errors.Is(err, ErrNotFound) }

func unlessDamaged(err error) error {
	if damaged(err) {
		return nil
	}
	return err
}

// accounts are a user's rows with their profiles; none for a user that the vault has never seen.
func (v *Vault) accounts(tx Tx, user string) ([]account, error) {
	rows, err := tx.Grants().List(GrantFilter{User: user})
	if err != nil {
		return nil, fmt.Errorf("listing accounts: %w", err)
	}
	out := make([]account, len(rows))
	for i, r := range rows {
		out[i].row = r
		if err := v.openProfile(tx, &out[i]); err != nil {
			return nil, fmt.Errorf("listing accounts: %w", err)
		}
	}
	return out, nil
}

// withProfile is a row as an account, with its profile opened.
func (v *Vault) withProfile(tx Tx, r GrantRow) (account, error) {
	a := account{row: r}
	err := v.openProfile(tx, &a)
	return a, err
}

// openProfile opens the profile of a's row. A row whose profile does not open was moved
// or changed: it is shown as quarantined and never used (R71).
func (v *Vault) openProfile(tx Tx, a *account) error {
	err := v.openColumn(tx, a.row, colProfile, &a.profile)
	if damaged(err) {
		a.broken = a.row.State == string(GrantActive)
		a.row.State, err = string(GrantQuarantined), nil
	}
	return err
}

// quarantine takes a grant that does not open out of use for good, with its audit entry.
func (v *Vault) quarantine(ctx context.Context, id string) {
	done := false
	err := v.store.Update(ctx, func(tx Tx) error {
		done = false
		g, err := tx.Grants().Get(id)
		if err != nil || g.State != string(GrantActive) {
			return err
		}
		a, err := v.withProfile(tx, g)
		if err == nil && !a.broken {
			_, err = v.openTokens(tx, g)
			a.broken = damaged(err)
		}
		if !a.broken {
			return err
		}
		g.State, g.Updated, done = string(GrantQuarantined), v.now(), true
		if err := errors.Join(tx.Grants().Swap(g, g.Gen), v.dropNarrowed(tx, g)); err != nil {
			return err
		}
		return v.append(tx, Entry{Kind: "grant.quarantined", user: g.User, Connection: g.Connection, Account: id, Result: "refused", Reason: "does_not_open"})
	})
	if done || err != nil {
		v.log.Error("a grant does not open: it was moved or changed in the database", "grant", id, "error", err)
	}
}

// bound says whether the config still sends this grant's tokens where they were granted for.
func bound(g GrantRow, c *provider.Connection) bool {
	return c != nil && bytes.Equal(g.Destination, c.Destination())
}
