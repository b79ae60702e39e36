package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// Request asks for a token.
type Request struct {
	Caller Caller
	Agent  Agent
	// Needs are the ways to serve, one per backend of a tool; any will do.
	Needs []provider.Need
	// Account is a label or an id, "" = the only one or the default.
	Account string
	Tool    string // for the audit
	Call    string // id of the tool call: access "once" holds for all exchanges of one call
	// Stale is the bearer that the API refused with 401: the row is read again, and at most one refresh forced.
	Stale *provider.Bearer
}

// Token is the answer of an exchange.
type Token struct {
	provider.Bearer
	Expiry time.Time // zero = no end known
}

// touchEvery is how often "last used" of a grant and an access is written.
const touchEvery = time.Minute

// exchangeTries bounds how often a row that moves under an exchange is read again.
const exchangeTries = 16

// errMoved says that a row is not any more what was picked.
var errMoved = errors.New("picked row has moved")

// Exchange answers a token for the need of a call, or a *ConsentError that says
// what is lacking. There is no other way for a token to leave the vault. Its
// audit entry is committed before it returns.
func (v *Vault) Exchange(ctx context.Context, r Request) (*Token, error) {
	if err := v.lives(ctx); err != nil {
		return nil, err
	}
	for range exchangeTries {
		p, err := v.pick(ctx, r)
		if err != nil {
			return nil, err
		}
		r.Account = p.row.ID
		if p.row.AuditGap {
			if err := v.closeGap(ctx, p.row.ID); err != nil {
				return nil, degraded(err)
			}
			continue
		}
		stale := r.Stale
		if stale != nil && stale.Grant != p.row.ID {
			stale = nil // refused for another account: says nothing about this one
		}
		if !v.usable(p, stale) {
			switch err := v.refresh(ctx, p, stale); {
			case err == nil:
				continue
			case stale != nil || !temporary(err) || !v.alive(p.row):
				return nil, err
			} // else the token at hand has some life left
		} else {
			v.refreshEarly(ctx, p)
		}
		t, err := v.release(ctx, r, p)
		if !errors.Is(err, errMoved) {
			return t, err
		}
	}
	return nil, degraded(errMoved)
}

// degraded is a failure of the vault itself. A caller's own cancellation stays visible in it.
func degraded(err error) error {
	if e := (*ConsentError)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	return &ConsentError{Reason: VaultDegraded, Err: err}
}

// temporary says whether a refresh failed without proving anything about the grant.
func temporary(err error) bool {
	var e *ConsentError
	return errors.As(err, &e) && (e.Reason == ProviderUnreachable || e.Reason == VaultDegraded || e.Reason == ConnMisconfigured)
}

// Check says what Exchange would lack, without refreshing or releasing
// anything: nil, or the *ConsentError.
func (v *Vault) Check(ctx context.Context, r Request) error {
	_, err := v.pick(ctx, r)
	return err
}

// release commits the entry, and then hands the token out. The entry's own
// transaction looks at grant and access once more: errMoved when either has
// changed since they were picked.
func (v *Vault) release(ctx context.Context, r Request, p picked) (*Token, error) {
	entry := Entry{
		Kind: "token.released", Caller: r.Caller, Agent: r.Agent, Connection: p.row.Connection,
		Account: p.row.ID, Scopes: p.ask(), Tool: r.Tool,
	}
	err := v.journal.commit(ctx, v, entry, func(tx Tx) error { return v.still(tx, r, p) })
	if errors.Is(err, errMoved) {
		return nil, err
	}
	if err != nil {
		return nil, degraded(fmt.Errorf("writing the audit entry: %w", err))
	}
	hit("after_release")
	return &Token{
		Bearer: provider.Bearer{
			Token: provider.NewSecret(p.tokens.access.Token), Connection: p.conn, APIBase: p.tokens.access.APIBase,
			Account: p.label, Grant: p.row.ID, Generation: p.row.Gen, Scopes: provider.ParseScopes(p.row.Scopes),
		},
		Expiry: FromMillis(p.row.AccessExp),
	}, nil
}

// still proves that what was picked holds yet, so that no token overtakes a
// revocation; it writes "last used", and spends access for one call.
func (v *Vault) still(tx Tx, r Request, p picked) error {
	g, err := tx.Grants().Get(p.row.ID)
	if err != nil {
		return movedIf(ErrNotFound, err)
	}
	a, err := tx.Access().Get(p.row.User, p.access.Agent, p.row.ID)
	if err != nil {
		return movedIf(ErrNotFound, err)
	}
	same := g.Gen == p.row.Gen && g.State == string(GrantActive) && !g.AuditGap && bound(g, p.conn) &&
		a.ID == p.access.ID && a.Scopes == p.access.Scopes && a.Expires == p.access.Expires
	if !same || !v.open(a, r.Call) {
		return errMoved
	}
	if a.Once != onceOpen && v.now()-a.Used <= touchEvery.Milliseconds() {
		return nil
	}
	once, err := v.spent(a, r.Call)
	if err != nil {
		return err
	}
	return movedIf(ErrConflict, tx.Access().Touch(a.ID, a.Once, once, v.now()))
}

func movedIf(target, err error) error {
	if errors.Is(err, target) {
		return errMoved
	}
	return err
}

// unless is err, and nil where it is none.
func unless(none, err error) error {
	if errors.Is(err, none) {
		return nil
	}
	return err
}
