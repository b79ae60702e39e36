package vault

import (
	"context"
	"errors"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// errNoProof says that a grant is marked unverified and holds nothing to verify.
var errNoProof = errors.New("no id_token to check")

// unchecked marks a token set that came with an id_token: it is stored first, and
// goes out when the check has passed, also after a crash (G5).
func (v *Vault) unchecked(next *picked, g *provider.Grant) {
	conn := v.conns[next.row.Connection]
	next.row.Unverified = !g.IDToken.IsZero() && (conn == nil || conn.Provider().Identity.IDToken)
	if next.row.Unverified {
		next.tokens.access.IDToken = g.IDToken.Reveal()
	}
}

// verify checks whose account an unverified token set is of. What checks out may
// go out; what does not is quarantined, its refresh token kept; where the keys
// cannot be reached the set stays as it is, and the next call checks again. Its errors are *ConsentError and the store's.
func (v *Vault) verify(ctx context.Context, p *picked) error {
	row, account, err := v.unverified(ctx, p)
	if err != nil || row == nil {
		return err
	}
	hit("before_verify")
	if row.tokens.access.IDToken == "" {
		err = errNoProof
	} else {
		err = p.conn.SameAccount(ctx, provider.NewSecret(row.tokens.access.IDToken), account)
	}
	c := checked{picked: *row, err: err, unproven: unproven(err)}
	if err := v.store.Update(ctx, func(tx Tx) error { return v.noteChecked(tx, &c) }); err != nil {
		return err
	}
	hit("after_verify")
	switch {
	case c.unproven:
		return v.unreachable(p, c.wait(), err)
	case err != nil:
		v.log.Error("a refresh brought tokens of another account, or an id_token that does not check out: the grant is quarantined",
			"grant", row.row.ID, "connection", row.row.Connection, "error", err)
		v.noticeEnded(ctx, row.row.ID)
	}
	return nil
}

// unverified reads what is to be checked: nil where there is nothing any more.
func (v *Vault) unverified(ctx context.Context, p *picked) (out *picked, account string, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		out = nil
		row, err := tx.Grants().Get(p.row.ID)
		if err != nil || !row.Unverified || row.State != string(GrantActive) || !bound(row, p.conn) {
			return unless(ErrNotFound, err)
		}
		at, err := v.storeNow(tx)
		if err != nil {
			return err
		}
		if wait := pending(row, at); wait > 0 {
			return v.unreachable(p, wait, nil)
		}
		t, err := v.openTokens(tx, row)
		if err != nil {
			return unlessDamaged(err) // the next pick quarantines it
		}
		a, err := v.withProfile(tx, row)
		if err != nil || a.broken {
			return err
		}
		account, out = a.profile.AccountID, &picked{row: row, tokens: t, conn: p.conn}
		return nil
	})
	return out, account, err
}

// unproven says whether a check could not be made.
func unproven(err error) bool {
	var ie *provider.IdentityError
	if errors.As(err, &ie) {
		return ie.Unproven()
	}
	return err != nil && !errors.Is(err, errNoProof) // discovery, a time-out
}

// checked is the outcome of a check on its way into the row.
type checked struct {
	picked
	err      error
	unproven bool
	lease    Lease
	at       int64
}

// noteChecked writes the outcome, unless the row has moved on.
func (v *Vault) noteChecked(tx Tx, c *checked) error {
	row, err := tx.Grants().Get(c.row.ID)
	if err != nil || row.Gen != c.row.Gen || !row.Unverified {
		return unless(ErrNotFound, err)
	}
	if c.at, err = v.storeNow(tx); err != nil {
		return err
	}
	c.lease = Lease{Seq: row.LeaseSeq, AttemptAt: row.AttemptAt}
	switch {
	case c.unproven:
		c.lease.FailCount, c.lease.LastError = row.FailCount+1, "identity_unreachable"
		c.lease.AttemptAt, c.lease.NextTry = c.at, c.at+jitter(pause(row.FailCount+1)).Milliseconds()
	case c.err != nil:
		c.lease.FailCount, c.lease.LastError = row.FailCount+1, "identity"
		err = v.quarantineUnverified(tx, row)
	default:
		err = v.clear(tx, row, c.tokens)
	}
	if err != nil {
		return err
	}
	return tx.Grants().Lease(row.ID, row.Gen, row.LeaseSeq, c.lease)
}

func (c *checked) wait() time.Duration { return time.Duration(c.lease.NextTry-c.at) * time.Millisecond }

// clear takes the mark off, and the id_token out of the row: it has done its work.
func (v *Vault) clear(tx Tx, row GrantRow, t tokens) error {
	dek, err := v.userDEK(tx, row.User)
	if err != nil {
		return err
	}
	t.access.IDToken, row.Unverified = "", false
	if err := v.sealTokens(dek, &row, t); err != nil {
		return err
	}
	return tx.Grants().Swap(row, row.Gen)
}

func (v *Vault) quarantineUnverified(tx Tx, row GrantRow) error {
	row.State, row.Updated = string(GrantQuarantined), v.now()
	if err := errors.Join(tx.Grants().Swap(row, row.Gen), v.dropNarrowed(tx, row)); err != nil {
		return err
	}
	return v.append(tx, Entry{
		Kind: "grant.quarantined", user: row.User, Connection: row.Connection, Account: row.ID, Result: "refused", Reason: "identity",
	})
}
