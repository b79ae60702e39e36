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

// Exchange answers a token for the need of a call, or a *ConsentError that says
// what is lacking. There is no other way for a token to leave the vault. Its
// audit entry is committed before it returns.
func (v *Vault) Exchange(ctx context.Context, r Request) (*Token, error) {
	p, err := v.pick(ctx, r)
	if err != nil {
		return nil, err
	}
	if !v.usable(p, r.Stale) {
		if p, err = v.renew(ctx, r, p); err != nil {
			return nil, err
		}
	}
	return v.release(ctx, r, p)
}

// Check says what Exchange would lack, without refreshing, releasing or writing
// anything: nil, or the *ConsentError.
func (v *Vault) Check(ctx context.Context, r Request) error {
	_, err := v.pick(ctx, r)
	return err
}

// usable says whether the token at hand can go out: it is not the one that the
// API refused, and it lives beyond a margin of 60 s, or of a tenth of its life where that is less.
func (v *Vault) usable(p picked, stale *provider.Bearer) bool {
	row := p.row
	if p.tokens.access.Token == "" || stale != nil && stale.Grant == row.ID && row.Gen <= stale.Generation {
		return false
	}
	if row.AccessExp == 0 {
		return true
	}
	margin := min(time.Minute.Milliseconds(), (row.AccessExp-row.Refreshed)/10)
	return v.now() < row.AccessExp-max(margin, 0)
}

// renew refreshes the picked grant and picks again.
func (v *Vault) renew(ctx context.Context, r Request, p picked) (picked, error) {
	if err := v.refresh(ctx, p, r.Stale); err != nil {
		if e := (*ConsentError)(nil); errors.As(err, &e) && e.Reason == ProviderUnreachable && r.Stale == nil && v.alive(p.row) {
			return p, nil // the token at hand has some life left
		}
		return p, err
	}
	r.Account = p.row.ID
	return v.pick(ctx, r)
}

func (v *Vault) alive(g GrantRow) bool {
	return g.AccessCT != nil && (g.AccessExp == 0 || v.now() < g.AccessExp)
}

// release commits the entry, notes the use, and hands the token out.
func (v *Vault) release(ctx context.Context, r Request, p picked) (*Token, error) {
	entry := Entry{
		Kind: "token.released", Caller: r.Caller, Agent: r.Agent, Connection: p.row.Connection,
		Account: p.row.ID, Scopes: p.need.Ask(), Tool: r.Tool,
	}
	var err error
	if p.access.Once == onceOpen || v.now()-p.access.Used > touchEvery.Milliseconds() {
		err = v.releaseTouching(ctx, r, p, entry)
	} else {
		err = v.journal.commit(ctx, v, entry)
	}
	if errors.Is(err, ErrConflict) {
		return nil, v.lacks(AgentNotAllowed, p, nil)
	}
	if err != nil {
		return nil, &ConsentError{Reason: VaultDegraded, Err: fmt.Errorf("writing the audit entry: %w", err)}
	}
	return &Token{
		Bearer: provider.Bearer{
			Token: provider.NewSecret(p.tokens.access.Token), Connection: p.conn, APIBase: p.tokens.access.APIBase,
			Account: p.label, Grant: p.row.ID, Generation: p.row.Gen, Scopes: provider.ParseScopes(p.row.Scopes),
		},
		Expiry: FromMillis(p.row.AccessExp),
	}, nil
}

// releaseTouching writes "last used", and spends access for one call, in the entry's own transaction.
func (v *Vault) releaseTouching(ctx context.Context, r Request, p picked, entry Entry) error {
	return v.store.Update(ctx, func(tx Tx) error {
		once := p.access.Once
		if once == onceOpen {
			once = r.Call
		}
		if err := tx.Access().Touch(p.access.ID, p.access.Once, once, v.now()); err != nil {
			return err
		}
		g, err := tx.Grants().Get(p.row.ID)
		if err != nil {
			return err
		}
		g.Used = v.now()
		if err := tx.Grants().Swap(g, g.Gen); err != nil {
			return err
		}
		return v.append(tx, entry)
	})
}
