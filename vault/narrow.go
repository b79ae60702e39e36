package vault

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	// recNarrowed and the id of a grant are the kind of the records of its narrowed tokens.
	recNarrowed = "narrowed/"
	// narrowedKept is how long one is kept whose end the vendor does not name, and for
	// how long a vendor is not asked again that did not narrow.
	narrowedKept = 24 * time.Hour
	// narrowedLeast is for those that end at once: they serve until the next refresh may be (G10).
	narrowedLeast = time.Minute
)

// narrowed is an access token of fewer scopes than its account's own, which a
// refresh brought that asked for them. It lies in a record: sealed under its
// user's data key, gone with them, and open only for this grant (in the kind),
// this destination and these scopes (in the hash). It goes with its grant: when
// that ends, is connected anew or bound to another address, its records are taken in the same transaction.
type narrowed struct {
	V       int      `json:"v"`
	Token   string   `json:"token,omitempty"`
	APIBase string   `json:"api_base,omitempty"`
	Scopes  []string `json:"scopes,omitempty"` // what it really can do
	Got     int64    `json:"got"`
	Expires int64    `json:"expires,omitempty"` // 0 = the vendor names no end
	Gen     int64    `json:"gen"`               // of the row since the refresh that brought it
	Refused string   `json:"refused,omitempty"` // why the vendor's answer was no such token: then there is none
}

// slimOf are scopes to ask for, each in its one spelling, sorted.
func slimOf(p *provider.Provider, scopes []string) []string {
	out := make([]string, len(scopes))
	for i, s := range scopes {
		out[i] = p.Normalize(s)
	}
	return provider.Union(out, nil)
}

// narrows says whether a narrowed token could be had.
func (p *picked) narrows() bool {
	return !p.unslim && p.row.RefreshCT != nil && p.conn.Provider().Refresh.Narrows != provider.NarrowsNot
}

func (v *Vault) narrowedRecord(g GrantRow, slim []string) Record {
	handle := v.index("narrowed", g.ID, hex.EncodeToString(g.Destination), provider.FormatScopes(slim))
	return Record{Kind: recNarrowed + g.ID, Hash: handleHash(handle), Owner: g.User}
}

// findNarrowed puts the narrowed token that p asks for into it, if there is one.
// One that does not open, or that is of an earlier consent, is none.
func (v *Vault) findNarrowed(from source, p *picked) error {
	p.narrow = nil
	if p.slim == nil {
		return nil
	}
	rec, plain, err := from.record(v, v.narrowedRecord(p.row, p.slim))
	if err != nil || rec.Owner != p.row.User {
		return unless(ErrNotFound, err)
	}
	var n narrowed
	if err := json.Unmarshal(plain, &n); err != nil {
		return fmt.Errorf("decoding narrowed token: %w", err)
	}
	if n.Gen >= p.consent && n.Gen <= p.row.Gen {
		p.narrow, p.narrowRec = &n, rec
	}
	return nil
}

// redeem sends the refresh token of a pick: for all of its grant, or for what of it is asked for.
func (p picked) redeem(ctx context.Context) (*provider.Grant, error) {
	granted, refresh := provider.ParseScopes(p.row.Scopes), provider.NewSecret(p.tokens.refresh)
	if p.slim == nil {
		return p.conn.Refresh(ctx, refresh, granted)
	}
	return p.conn.Narrow(ctx, refresh, provider.Union(p.slim, p.conn.Provider().KeepsAlive(granted)))
}

// unnarrowed says why what a vendor answered is no token of the scopes that were asked for; "" = it is one.
func unnarrowed(p *provider.Provider, slim []string, g *provider.Grant) string {
	more := func(s string) bool { return !p.IdentityOnly(s) && !p.Covers(slim, s) }
	lacks := func(s string) bool { return !p.Covers(g.Scopes, s) }
	switch {
	case !g.Confirmed && p.Refresh.Narrows != provider.NarrowsSilent:
		return "not_said"
	case slices.ContainsFunc(g.Scopes, more):
		return "wider"
	case slices.ContainsFunc(slim, lacks):
		return "narrower"
	}
	return ""
}

// keepNarrowed stores what a narrowing refresh brought, and drops what the vendor's refresh has killed.
func (v *Vault) keepNarrowed(tx Tx, next GrantRow, a *attempt, g *provider.Grant) error {
	if v.killsAccess(next.Connection) {
		if err := v.dropNarrowed(tx, next); err != nil {
			return err
		}
	}
	conn := v.conns[next.Connection]
	if a.p.slim == nil || conn == nil {
		return nil
	}
	n := narrowed{Got: a.answered, Gen: next.Gen, Refused: unnarrowed(conn.Provider(), a.p.slim, g)}
	if n.Refused == "" {
		n.Token, n.APIBase, n.Scopes, n.Expires = g.Access.Reveal(), g.APIBase, g.Scopes, Millis(g.Expiry)
		if n.APIBase == "" {
			n.APIBase = a.p.tokens.access.APIBase
		}
	}
	return v.putNarrowed(tx, next, a.p.slim, n)
}

func (v *Vault) putNarrowed(tx Tx, g GrantRow, slim []string, n narrowed) error {
	n.V = 1
	plain, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encoding narrowed token: %w", err)
	}
	rec := v.narrowedRecord(g, slim)
	if rec.Expires = v.now() + narrowedKept.Milliseconds(); n.Expires != 0 {
		rec.Expires = max(n.Expires, v.now()+narrowedLeast.Milliseconds())
	}
	return v.putHashed(tx, rec, plain)
}

// dropNarrowed takes a grant's narrowed tokens out of the store.
func (v *Vault) dropNarrowed(tx Tx, g GrantRow) error {
	recs, err := tx.Records().List(recNarrowed+g.ID, g.User, 0)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if _, err := tx.Records().Take(rec.Kind, rec.Hash, 0); unless(ErrNotFound, err) != nil {
			return err
		}
	}
	return nil
}

// killsAccess says whether a refresh ends the access tokens before it. Of a connection that is gone nobody knows.
func (v *Vault) killsAccess(connection string) bool {
	conn := v.conns[connection]
	return conn == nil || conn.Provider().Refresh.KillsAccess
}

// slimmed is the row's next generation after a refresh that asked for fewer
// scopes: its own access token stays, where the vendor lets it live.
func (v *Vault) slimmed(row GrantRow, had tokens, g *provider.Grant) picked {
	next := v.rotated(row, had, g)
	next.tokens.access = had.access
	switch {
	case v.killsAccess(row.Connection):
		next.tokens.access.Token, next.row.AccessExp = "", 1 // over: it must be refreshed before its next use
	case had.access.Gen == 0:
		next.tokens.access.Gen = row.Gen
	}
	return next
}

// complainOfNarrowing tells the operator of a vendor that does not do what the catalog says.
func (v *Vault) complainOfNarrowing(p picked, g *provider.Grant) {
	if p.slim == nil {
		return
	}
	if why := unnarrowed(p.conn.Provider(), p.slim, g); why != "" {
		v.log.Error("a vendor was asked for a token of fewer scopes and gave another: it is not used, and the vendor is not asked again for a day",
			"connection", p.row.Connection, "grant", p.row.ID, "answer", why, "asked", provider.FormatScopes(p.slim), "got", provider.FormatScopes(g.Scopes))
	}
}

// refusesNarrowing says whether a vendor refused what was asked for, and not the refresh token.
func (r *refusal) refusesNarrowing() bool {
	return r.a.p.slim != nil && r.cause.Class == provider.Clean && slices.Contains([]string{"invalid_scope", "invalid_request"}, r.cause.Code)
}

// noteRefusesNarrowing frees the lease as it was before: the account's own refresh has not failed.
func (v *Vault) noteRefusesNarrowing(tx Tx, r *refusal) error {
	l := Lease{
		Seq: r.row.LeaseSeq, AttemptAt: r.row.AttemptAt, Phase: phase(r.a.sends - 1),
		FailCount: r.row.FailCount, LastError: r.row.LastError, NextTry: r.row.NextTry,
	}
	if err := tx.Grants().Lease(r.row.ID, r.row.Gen, r.row.LeaseSeq, l); err != nil {
		return err
	}
	r.unnarrowed = true
	n := narrowed{Got: v.now(), Gen: r.row.Gen, Refused: r.code()}
	return errors.Join(v.putNarrowed(tx, r.row, r.a.p.slim, n), v.append(tx, r.entry("grant.refresh_failed")))
}
