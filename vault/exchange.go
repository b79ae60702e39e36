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
	// Access is the one that must serve (Choice.Access), "" = any: where it is gone, one that was given later is no help, and the cause is ErrOtherAccess.
	Access string
	Tool   string // for the audit
	Call   string // id of the tool call: access "once" holds for all exchanges of one call
	// Approval is what a write runs under (Vault.Approved): it is spent in the transaction that releases the token. A further exchange of the same Call is free.
	Approval string
	// Look says that the token is to read what a write would change, for the person who is asked: it leaves access for one call to that write.
	Look bool
	// Stale is the bearer that the API refused with 401: the row is read again, and at most one refresh forced.
	Stale *provider.Bearer
	// Ceiling bounds what the token can do; nil = what the grant has (tools: the token does not leave the program).
	Ceiling *Ceiling
	// MinTTL is how long the token must live yet; 0 = any. Where even a fresh one lives shorter the answer is a *ShortLivedError.
	MinTTL time.Duration
	// Exchanged says that the token leaves the program, and for whom: its release is an entry "token.exchanged" instead of "token.released".
	Exchanged *Exchanged
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

// ErrOtherAccess says that the access which a request names was taken away.
var ErrOtherAccess = errors.New("the access is another one by now")

// errMoved says that a row is not any more what was picked.
var errMoved = errors.New("picked row has moved")

// Exchange answers a token for the need of a call, or a *ConsentError that says
// what is lacking. There is no other way for a token to leave the vault. Its
// audit entry is committed before it returns.
//
// What was read of a person's accounts for an agent is remembered until something
// of theirs changes: the exchanges after it read nothing, and their only transaction is
// that of their entry, which they share with others of that moment.
func (v *Vault) Exchange(ctx context.Context, r Request) (t *Token, err error) {
	defer func() { v.noteRefused(ctx, r, err) }()
	if err := v.lives(ctx); err != nil {
		return nil, err
	}
	w := v.who(r)
	if r.Stale != nil {
		return v.exchange(ctx, r, w)
	}
	if p, ok := v.recall(r, w); ok {
		if t, err := v.release(ctx, r, p); !errors.Is(err, errMoved) {
			return t, err
		}
	}
	return v.exchange(ctx, r, w)
}

// exchange picks, refreshes where that is needed, and releases. What it has read is remembered.
func (v *Vault) exchange(ctx context.Context, r Request, w who) (*Token, error) {
	account, renewed := r.Account, false
	for range exchangeTries {
		p, err := v.pickFor(ctx, r, w)
		if err != nil {
			return nil, err
		}
		r.Account = p.row.ID // also after a refresh
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
		again, err := v.renew(ctx, p, stale, r.MinTTL, renewed)
		if err != nil {
			return nil, err
		}
		if again {
			renewed = true
			continue
		}
		t, err := v.release(ctx, r, p)
		if !errors.Is(err, errMoved) {
			if err == nil {
				v.remember(w, p)
			}
			return t, err
		}
		r.Account = account
	}
	return nil, degraded(errMoved)
}

// renew refreshes a token that cannot go out as it is, and says whether the row
// has moved on and must be read again. What the caller waits for with a token
// that lives too short, or what the vendor does not give again, is one refresh: renewed says that it was.
func (v *Vault) renew(ctx context.Context, p *picked, stale *provider.Bearer, ttl time.Duration, renewed bool) (again bool, err error) {
	usable, lasts := v.usable(p, stale), v.lasts(p, ttl)
	switch {
	case usable && lasts:
		v.refreshEarly(ctx, p)
		return false, nil
	case usable && (renewed || !v.lengthens(p, ttl)):
		return false, &ShortLivedError{Lives: time.Duration(p.out().expires-v.now()) * time.Millisecond}
	}
	err = v.refresh(ctx, wanted{picked: *p, stale: stale, ttl: ttl})
	if err != nil && stale == nil && lasts && temporary(err) && v.alive(p) {
		return false, nil // the token at hand has some life left
	}
	return err == nil, err
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

// Choice is what an exchange would use.
type Choice struct {
	provider.Bearer        // without the token
	Access          string // id: it ends when the access is taken away, and never comes back
}

// Which says what an exchange would use. Like Check it refreshes and releases nothing; its errors are Exchange's.
func (v *Vault) Which(ctx context.Context, r Request) (Choice, error) {
	p, err := v.pick(ctx, r)
	if err != nil {
		return Choice{}, err
	}
	return Choice{Access: p.access.ID, Bearer: provider.Bearer{
		Connection: p.conn, APIBase: p.tokens.access.APIBase, Account: p.label,
		Grant: p.row.ID, Generation: p.row.Gen, Scopes: provider.ParseScopes(p.row.Scopes),
	}}, nil
}

// release commits the entry, and then hands the token out: errMoved when what was
// picked does not hold any more in the entry's own transaction.
func (v *Vault) release(ctx context.Context, r Request, p *picked) (*Token, error) {
	out := p.out()
	entry := Entry{
		Kind: "token.released", user: p.row.User, Agent: r.Agent, Connection: p.row.Connection,
		Account: p.row.ID, Scopes: p.ask(), Tool: r.Tool,
		Detail: Detail{Call: r.Call, Generation: out.gen, Expires: out.expires, Approval: r.Approval},
	}
	if r.Exchanged != nil {
		entry.Kind = "token.exchanged"
		entry.Scopes, entry.Detail.Exchange = p.can(), r.Exchanged
	}
	err := v.journal.commit(ctx, v, &member{
		entry: entry, synced: p.access.Once != "" || r.Approval != "",
		holds: func(tx Tx) error { return v.mayRelease(tx, r, p) },
	})
	if alone(err) {
		return nil, err
	}
	if err != nil {
		return nil, degraded(fmt.Errorf("writing the audit entry: %w", err))
	}
	hit("after_release")
	v.noteUse(p)
	return &Token{
		Bearer: provider.Bearer{
			Token: provider.NewSecret(out.token), Connection: p.conn, APIBase: out.apiBase,
			Account: p.label, Grant: p.row.ID, Generation: out.gen, Scopes: p.can(),
		},
		Expiry: FromMillis(out.expires),
	}, nil
}

// mayRelease proves that the release is allowed yet, and spends what allows it once.
func (v *Vault) mayRelease(tx Tx, r Request, p *picked) error {
	if r.Approval == "" {
		return v.holds(tx, r, p)
	}
	spend, err := v.spendable(tx, r, p)
	if err != nil {
		return err
	}
	if err := v.holds(tx, r, p); err != nil || spend == nil {
		return err
	}
	return spend()
}

// holds proves that what was picked holds yet, so that no token overtakes a
// revocation. It does where nothing of its person's has changed since. Else a
// remembered pick is worth nothing: another account may be the default by now.
// One that was read a moment ago is compared with grant and access.
func (v *Vault) holds(tx Tx, r Request, p *picked) error {
	switch {
	case p.access.Once == "" && v.changes.hold(p.row.User, p.epoch) && v.open(p.access, r.Call):
		return nil
	case p.kept != nil:
		return errMoved
	}
	return v.still(tx, r, p)
}

// still reads grant and access once more, and spends access for one call.
func (v *Vault) still(tx Tx, r Request, p *picked) error {
	g, err := tx.Grants().Get(p.row.ID)
	if err != nil {
		return movedIf(ErrNotFound, err)
	}
	a, err := tx.Access().Get(p.row.User, p.access.Agent, p.row.ID)
	if err != nil {
		return movedIf(ErrNotFound, err)
	}
	same := g.Gen == p.row.Gen && g.State == string(GrantActive) && !g.AuditGap && bound(g, p.conn) &&
		a.ID == p.access.ID && a.Scopes == p.access.Scopes && a.Expires == p.access.Expires && (a.Once == "") == (p.access.Once == "")
	if !same || !v.open(a, r.Call) {
		return errMoved
	}
	if a.Once != onceOpen || r.Look {
		return nil
	}
	once, err := v.spent(a, r.Call)
	if err != nil {
		return err
	}
	return movedIf(ErrConflict, tx.Access().Touch(a.ID, a.Once, once, v.now()))
}

// noteUse has "last used" written with the next sync, once in a while.
func (v *Vault) noteUse(p *picked) {
	now := v.now()
	if p.access.Once != "" || now-p.used <= touchEvery.Milliseconds() || !v.journal.use(v, p.access.ID, now) {
		return
	}
	if p.used = now; p.kept != nil {
		v.memory.noteUse(who{p.row.User, p.access.Agent}, p.row.ID, now)
	}
}

// alone says whether err is of one release, and none of the others that share its transaction.
func alone(err error) bool {
	if err == nil {
		return false
	}
	var lack *ConsentError
	return errors.Is(err, errMoved) || errors.As(err, &lack)
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
