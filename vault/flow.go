package vault

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	recFlow = "flow"
	flowTTL = 10 * time.Minute // from Allow to the callback
)

// flow is what an Allow leaves for the callback; it is found by the hash of its state.
type flow struct {
	Ticket     string `json:"ticket"` // row id
	Connection string `json:"connection"`
	Option     Option `json:"option"`
	terms
	Verifier    string   `json:"verifier"`
	Nonce       string   `json:"nonce"`
	RedirectURI string   `json:"redirect_uri"`
	Asked       []string `json:"asked"`
	Left        []string `json:"left,omitempty"` // what the owner left out
	Cookie      string   `json:"cookie"`         // hash
	Session     string   `json:"session"`
	Owner       Caller   `json:"owner"`
	App         bool     `json:"app,omitempty"`  // an application has to complete it
	Hint        string   `json:"hint,omitempty"` // the account at the vendor that it has in mind
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Allow is the owner's yes. Where only the agent's access was missing, the
// ticket is done; else a flow to the vendor begins, and an earlier one of the
// same ticket is void. Errors: ErrNotFound, ErrForeign, ErrGone, ErrStale, ErrNoScopes, *StoppedError, *RuleError, *ConsentError.
func (v *Vault) Allow(ctx context.Context, a Answer) (Start, error) {
	var s Start
	var fl *flow
	var state string
	if err := v.lives(ctx); err != nil {
		return s, err
	}
	err := v.store.Update(ctx, func(tx Tx) error {
		fl = nil
		t, err := v.answerable(tx, a.Handle, a.Person)
		if err != nil {
			return err
		}
		s.Ticket = t
		if a.Version != 0 && a.Version != t.Version {
			return ErrStale
		}
		o, terms, err := v.taken(tx, a, t)
		if err != nil {
			return err
		}
		if err := v.mayOpen(tx, v.Pseudonym(t.Owner.Caller), t.Agent, []Option{o}); err != nil {
			return err
		}
		if !o.VendorNeeded {
			return v.grantAccess(tx, &s.Ticket, o, terms)
		}
		fl, state, s.Cookie, err = v.newFlow(tx, a, t, o, terms)
		if err != nil {
			return err
		}
		s.Ticket, err = v.startTicket(tx, t, state)
		return err
	})
	v.bell.ring()
	if err != nil || fl == nil {
		v.noteRule(ctx, a, s.Ticket, err)
		return s, err
	}
	s.AuthURL, err = v.authURL(ctx, *fl, state)
	return s, err
}

func (v *Vault) newFlow(tx Tx, a Answer, t Ticket, o Option, yes terms) (fl *flow, state, cookie string, err error) {
	var drawn [4]string
	for i := range drawn {
		if drawn[i], err = v.random(32); err != nil {
			return nil, "", "", err
		}
	}
	state, cookie = drawn[0], drawn[1]
	asked, err := v.askedFor(tx, t, o)
	if err != nil {
		return nil, "", "", err
	}
	fl = &flow{
		Ticket: t.ID, Connection: o.Connection, Option: o, terms: yes, Verifier: drawn[2], Nonce: drawn[3],
		RedirectURI: a.RedirectURI, Asked: asked, Left: leaving(a.Without, o.Scopes), Cookie: hashed(cookie), Session: a.Session, Owner: t.Owner.Caller,
	}
	if t.App != nil {
		fl.App, fl.Hint = true, t.App.Hint
	}
	if o.Grant != "" { // what the account has stays asked for: some vendors replace
		if g, err := v.owned(tx, t.Owner.Caller, o.Grant); err == nil {
			fl.Asked = provider.Union(asked, leaving(provider.ParseScopes(g.Scopes), a.Without))
		}
	}
	plain, err := json.Marshal(fl)
	if err != nil {
		return nil, "", "", err
	}
	return fl, state, cookie, v.putRecord(tx, recFlow, state, v.Pseudonym(t.Owner.Caller), plain, v.now()+flowTTL.Milliseconds())
}

func (v *Vault) startTicket(tx Tx, t Ticket, state string) (Ticket, error) {
	if _, err := v.dropHeld(tx, &t, "started_again"); err != nil {
		return t, err
	}
	t.State, t.Started, t.Flow, t.Failure = TicketStarted, v.cfg.Now().UTC(), hashed(state), ""
	if err := v.putTicket(tx, v.Pseudonym(t.Owner.Caller), &t); err != nil {
		return t, err
	}
	t.Version++
	return t, v.append(tx, v.ticketEntry("ticket.started", t))
}

func (v *Vault) authURL(ctx context.Context, fl flow, state string) (string, error) {
	conn := v.conns[fl.Connection]
	r := provider.AuthRequest{
		State: state, Verifier: provider.NewSecret(fl.Verifier), Nonce: fl.Nonce, RedirectURI: fl.RedirectURI,
		Scopes: fl.Asked, LoginHint: fl.Hint, Reconnect: true,
	}
	if fl.Option.Grant != "" {
		v.pinned(ctx, fl, &r)
	}
	u, err := conn.AuthCodeURL(ctx, r)
	if err != nil {
		e := &ConsentError{Reason: ConnMisconfigured, Options: []Option{fl.Option}, Err: err}
		if de := (*provider.DiscoveryError)(nil); errors.As(err, &de) && de.Reason == provider.DiscoveryUnreachable {
			e.Reason = ProviderUnreachable
		}
		return "", e
	}
	return u, nil
}

// pinned asks the vendor for the account that the grant is of, and for a new refresh token only where it has none that works.
func (v *Vault) pinned(ctx context.Context, fl flow, r *provider.AuthRequest) {
	err := v.store.View(ctx, func(tx Tx) error {
		g, err := v.owned(tx, fl.Owner, fl.Option.Grant)
		if err != nil {
			return err
		}
		a, err := v.withProfile(tx, g)
		if err != nil {
			return err
		}
		r.LoginHint = a.profile.Email
		r.Reconnect = GrantState(g.State) != GrantActive || g.RefreshCT == nil
		return nil
	})
	if err != nil {
		v.log.Warn("reading the account to reconnect", "error", err)
	}
}

// FlowOwner answers the ticket that a callback's state belongs to, without
// consuming anything: for a page that says "open the link again in the browser that started".
func (v *Vault) FlowOwner(ctx context.Context, connection, state string) (t Ticket, err error) {
	err = v.store.View(ctx, func(tx Tx) error {
		fl, err := v.peekFlow(tx, connection, state)
		if err == nil {
			t, err = v.ticket(tx, v.handleOf(fl.Ticket))
		}
		return err
	})
	return t, err
}

func (v *Vault) peekFlow(tx Tx, connection, state string) (fl flow, err error) {
	_, plain, err := v.getRecord(tx, recFlow, state)
	if err != nil {
		return fl, err
	}
	if err := json.Unmarshal(plain, &fl); err != nil {
		return fl, fmt.Errorf("decoding flow: %w", err)
	}
	if fl.Connection != connection {
		return flow{}, ErrNotFound // another context's state (R12, R20)
	}
	return fl, nil
}

// Finish turns a vendor's answer into a grant. Every check comes before the
// code is redeemed: state and connection, the browser's cookie and session, the
// same person, the issuer; then the flow is consumed, once. The errors are
// *FlowError: nothing was stored then, and a token that was received is revoked.
func (v *Vault) Finish(ctx context.Context, c Callback) (Ticket, Account, error) {
	if !v.work.enter() {
		return Ticket{}, Account{}, &FlowError{Failure: FlowUnreachable, Connection: c.Connection, Err: errClosed}
	}
	defer v.work.leave()
	ctx = context.WithoutCancel(ctx) // a browser that goes away must not lose the code
	if err := v.lives(ctx); err != nil {
		return Ticket{}, Account{}, &FlowError{Failure: FlowVault, Connection: c.Connection, Err: err}
	}
	fl, err := v.checkCallback(ctx, c)
	if err != nil {
		return Ticket{}, Account{}, err
	}
	conn := v.conns[fl.Connection]
	if err := conn.CheckIss(c.Iss); err != nil {
		return Ticket{}, Account{}, v.failed(ctx, fl, &FlowError{Failure: FlowIssuer, Err: err})
	}
	if _, err := v.Records().Take(ctx, recFlow, c.State); err != nil {
		return Ticket{}, Account{}, &FlowError{Failure: FlowState, Connection: c.Connection, Err: err}
	}
	if c.Error != "" {
		return Ticket{}, Account{}, v.vendorSaidNo(ctx, fl, c.Error)
	}
	grant, err := conn.Redeem(ctx, provider.Redemption{
		Code: provider.NewSecret(c.Code), Verifier: provider.NewSecret(fl.Verifier), RedirectURI: fl.RedirectURI, Asked: fl.Asked,
	})
	if err != nil {
		return Ticket{}, Account{}, v.failed(ctx, fl, redeemError(err))
	}
	return v.accept(ctx, fl, c.Person, grant)
}

// checkCallback proves that this browser and this person started the flow, and consumes nothing.
func (v *Vault) checkCallback(ctx context.Context, c Callback) (fl flow, err error) {
	var t Ticket
	err = v.store.View(ctx, func(tx Tx) error {
		if fl, err = v.peekFlow(tx, c.Connection, c.State); err != nil {
			return err
		}
		t, err = v.ticket(tx, v.handleOf(fl.Ticket))
		return err
	})
	if err != nil || t.Flow != hashed(c.State) || t.Over() || v.conns[c.Connection] == nil {
		return fl, &FlowError{Failure: FlowState, Connection: c.Connection, Err: err}
	}
	same := subtle.ConstantTimeCompare([]byte(fl.Cookie), []byte(hashed(c.Cookie))) == 1 &&
		subtle.ConstantTimeCompare([]byte(fl.Session), []byte(c.Session)) == 1
	if c.Person.Caller != fl.Owner || !same {
		e := v.ticketEntry("connect.subject_mismatch", t)
		e.Result, e.Caller = "refused", c.Person.Caller
		if err := v.Note(ctx, e); err != nil {
			v.log.Error("writing the audit entry", "error", err)
		}
		return fl, &FlowError{Failure: FlowBrowser, Connection: c.Connection}
	}
	return fl, nil
}

func redeemError(err error) *FlowError {
	var te *provider.TokenError
	switch {
	case !errors.As(err, &te) || te.Class == provider.Ambiguous || te.Code == "":
		return &FlowError{Failure: FlowUnreachable, Err: err}
	case te.Class == provider.Rejected:
		return &FlowError{Failure: FlowRejected, Err: err}
	}
	return &FlowError{Failure: FlowOperator, Err: err}
}

// vendorSaidNo handles an error at the callback: the person's no ends the ticket, anything else may be tried again.
func (v *Vault) vendorSaidNo(ctx context.Context, fl flow, code string) error {
	if code != "access_denied" {
		return v.failed(ctx, fl, &FlowError{Failure: FlowVendor})
	}
	var held *owed
	err := v.store.Update(ctx, func(tx Tx) error {
		t, err := v.ticket(tx, v.handleOf(fl.Ticket))
		if err != nil || t.Over() {
			return err
		}
		t.Failure = FlowDenied
		held, err = v.declined(tx, &t)
		return err
	})
	v.bell.ring()
	v.giveUp(ctx, err, held)
	return &FlowError{Failure: FlowDenied, Connection: fl.Connection, Ticket: fl.Ticket, Err: err}
}

// failed notes on the ticket why the visit did not end well, and answers fe.
func (v *Vault) failed(ctx context.Context, fl flow, fe *FlowError) *FlowError {
	fe.Connection, fe.Ticket = fl.Connection, fl.Ticket
	v.log.Warn("a connect flow failed", "connection", fl.Connection, "failure", string(fe.Failure), "error", fe.Err)
	err := v.store.Update(ctx, func(tx Tx) error {
		t, err := v.ticket(tx, v.handleOf(fl.Ticket))
		if err != nil || t.Over() {
			return err
		}
		t.State, t.Failure = TicketOpen, fe.Failure // the next call gives the link again
		if err := v.putTicket(tx, v.Pseudonym(fl.Owner), &t); err != nil {
			return err
		}
		e := v.ticketEntry("connect.failed", t)
		e.Result, e.Reason, e.Connection = "refused", string(fe.Failure), fl.Connection
		return v.append(tx, e)
	})
	if err != nil {
		v.log.Error("noting a failed flow", "error", err)
	}
	return fe
}
