package vault

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	appTicketTTL = 10 * time.Minute // an application's ticket may be opened for so long
	appTries     = 5                // wrong proofs until what is held is given back
)

// ByApplication is the reason of an entry about what waits for the word of an application, or had it.
const ByApplication = "application"

// ErrProof says that what an application brought to complete a connection is not what belongs to it.
var ErrProof = errors.New("code, redirect or verifier is wrong")

// AppRequest is what an application asked for at the connected-accounts API: where
// the browser goes back to, and what its word (Vault.CompleteConnect) is held against.
type AppRequest struct {
	RedirectURI string `json:"redirect_uri"`        // one that the application registered
	State       string `json:"state,omitempty"`     // given back as it came
	Challenge   string `json:"challenge,omitempty"` // S256 of its verifier, "" where it gave none
	Hint        string `json:"hint,omitempty"`      // the account at the vendor that it has in mind
	// Vouched says that the application answers for who sits at the browser, and nobody signs in there (binding: app).
	Vouched bool   `json:"vouched,omitempty"`
	Browser string `json:"browser,omitempty"` // hash of the session that went to the vendor
	Tries   int    `json:"tries,omitempty"`   // wrong proofs so far
}

// AppTicketRequest asks for a ticket in an application's name.
type AppTicketRequest struct {
	Owner      Person
	Agent      Agent // the application: it gets access to what is connected
	Connection string
	Scopes     []string
	Wider      bool // as in TicketRequest
	App        AppRequest
}

// OpenAppTicket makes a ticket of kind connect for an application, and the session
// that the application completes it with (43 characters). Each request is one of its own.
// Errors: ErrNotFound for an unknown connection, *StoppedError, *LimitError.
func (v *Vault) OpenAppTicket(ctx context.Context, r AppTicketRequest) (t Ticket, session string, err error) {
	if r.Agent == (Agent{}) || r.App.RedirectURI == "" {
		return t, "", errors.New("opening ticket: an application and a way back are needed")
	}
	if _, ok := v.conns[r.Connection]; !ok {
		return t, "", ErrNotFound
	}
	if session, err = v.random(32); err != nil {
		return t, "", err
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		user, _, err := v.ensureUser(tx, r.Owner.Caller)
		if err != nil {
			return err
		}
		o, err := v.appOption(tx, user, r)
		if err != nil {
			return err
		}
		req := TicketRequest{Owner: r.Owner, Agent: r.Agent, Wider: r.Wider, Need: &ConsentError{Reason: NotConnected, Options: []Option{o}}}
		if err := errors.Join(v.mayOpen(tx, user, r.Agent, req.Need.Options), v.mayAsk(tx, user, req)); err != nil {
			return err
		}
		t = v.newTicket(req)
		t.App, t.Expires = &r.App, t.Created.Add(min(appTicketTTL, v.cfg.TicketTTL))
		if t.ID, err = v.newID("t_"); err != nil {
			return err
		}
		if err := v.putTicket(tx, user, &t); err != nil {
			return err
		}
		if err := v.putRecord(tx, recPointer, session, user, []byte(t.ID), Millis(t.Expires.Add(flowTTL+heldFor))); err != nil {
			return err
		}
		return v.append(tx, v.ticketEntry("ticket.opened", t))
	})
	v.noteUnasked(ctx, TicketRequest{Owner: r.Owner, Agent: r.Agent}, err)
	return t, session, err
}

// appOption asks for the scopes of the request. An account whose address the
// application named is the one that it is about; else the person picks at the vendor.
func (v *Vault) appOption(tx Tx, user string, r AppTicketRequest) (Option, error) {
	o := Option{Connection: r.Connection, Scopes: r.Scopes, Missing: r.Scopes, VendorNeeded: true}
	if r.App.Hint == "" {
		return o, nil
	}
	all, err := v.accounts(tx, user)
	for _, a := range all {
		if a.row.Connection == r.Connection && !a.broken && strings.EqualFold(a.profile.label(), r.App.Hint) {
			o.Grant = a.row.ID
			o.Missing = v.conns[r.Connection].Provider().Missing(provider.ParseScopes(a.row.Scopes), eachOf(r.Scopes))
		}
	}
	return o, err
}

// askedFor is what the vendor is asked for: of an application's ticket also all that the
// person's accounts there have, because which of them they will pick is not known, and some vendors replace.
func (v *Vault) askedFor(tx Tx, t Ticket, o Option) ([]string, error) {
	if t.App == nil {
		return o.Scopes, nil
	}
	rows, err := tx.Grants().List(GrantFilter{User: v.Pseudonym(t.Owner.Caller)})
	asked := o.Scopes
	for _, g := range rows {
		if g.Connection == o.Connection && g.State == string(GrantActive) {
			asked = provider.Union(asked, provider.ParseScopes(g.Scopes))
		}
	}
	return asked, err
}

// holdForApp keeps what came from the vendor until the application has completed it.
func (v *Vault) holdForApp(ctx context.Context, r received) (Ticket, Account, error) {
	t, err := v.putHeld(ctx, r, Held{Connection: r.fl.Connection, Got: identityLabel(r.who)})
	switch {
	case errors.Is(err, ErrGone): // declined meanwhile
		return Ticket{}, Account{}, v.giveBack(ctx, r, &FlowError{Failure: FlowState, Err: err})
	case err != nil:
		return Ticket{}, Account{}, v.giveBack(ctx, r, &FlowError{Failure: FlowVault, Err: err})
	}
	return t, Account{}, nil
}

// ForApp says whether what is held waits for an application's word, and no more for its owner's.
func (h *Held) ForApp() bool { return h != nil && h.Failure == "" }

// ConnectCode is what the browser carries back to an application (43 characters), for
// the session that went to the vendor; false for any other one, and where nothing waits. It is made of
// what the vault knows, so that a page that is loaded again says the same.
func (v *Vault) ConnectCode(t Ticket, session string) (string, bool) {
	if t.App == nil || !t.Held.ForApp() || session == "" || !same(t.App.Browser, hashed(session)) {
		return "", false
	}
	return v.connectCode(t), true
}

func (v *Vault) connectCode(t Ticket) string {
	return base64.RawURLEncoding.EncodeToString(v.MAC("connect-code/v1", []byte(t.ID+"\x00"+t.Flow)))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Completion is an application's word that a connection is its user's.
type Completion struct {
	Session     string // of OpenAppTicket
	Code        string // that the browser brought back
	RedirectURI string // of the request
	Verifier    string // of its challenge, "" where it gave none
	Caller      Caller // whose token the application has
	Agent       Agent  // whom that token was given to
}

// CompleteConnect stores what a vendor gave for an application's ticket, once, as
// its person's account, and gives the application access as they allowed. Errors: ErrNotFound for a session
// that nobody has, ErrForeign for another person's or application's, ErrProof (after five the
// vendor gets it back), ErrGone where nothing is held (any more), ErrConflict when it is done already, *StoppedError, *ConsentError.
func (v *Vault) CompleteConnect(ctx context.Context, c Completion) (Account, error) {
	if err := v.lives(ctx); err != nil {
		return Account{}, err
	}
	var t Ticket
	var a account
	var refused error
	var held *owed
	err := v.store.Update(ctx, func(tx Tx) (err error) {
		refused, held = nil, nil
		if t, err = v.appTicket(tx, c); err != nil {
			return err
		}
		if !v.proven(t, c) {
			refused = ErrProof
			held, err = v.countTry(tx, &t)
			return err
		}
		a, err = v.completeHeld(tx, &t)
		return err
	})
	v.bell.ring()
	v.giveUp(ctx, err, held)
	if err := errors.Join(err, refused); err != nil {
		v.noteForeign(ctx, t, c, err)
		return Account{}, err
	}
	return v.view(a), nil
}

// appTicket is the ticket of a session whose grant waits for this application and person.
func (v *Vault) appTicket(tx Tx, c Completion) (Ticket, error) {
	_, id, err := v.getRecord(tx, recPointer, c.Session)
	if err != nil {
		return Ticket{}, err
	}
	t, err := v.ticket(tx, v.handleOf(string(id)))
	switch {
	case err != nil:
		return t, err
	case t.App == nil:
		return Ticket{}, ErrNotFound
	case t.Owner.Caller != c.Caller || v.agentKey(t.Agent) != v.agentKey(c.Agent):
		return t, ErrForeign
	case t.State == TicketDone:
		return t, ErrConflict
	case t.Over() || !t.Held.ForApp():
		return t, ErrGone
	}
	return t, nil
}

// proven holds the code, the redirect and the verifier (RFC 7636 §4.6) against the
// request. A verifier without a challenge is a request whose challenge somebody took out (RFC 9700 §4.8.2).
func (v *Vault) proven(t Ticket, c Completion) bool {
	challenge := ""
	if c.Verifier != "" {
		sum := sha256.Sum256([]byte(c.Verifier))
		challenge = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	code, redirect, verifier := same(v.connectCode(t), c.Code), same(t.App.RedirectURI, c.RedirectURI), same(t.App.Challenge, challenge)
	return code && redirect && verifier
}

// countTry spends nothing: who guesses must not be able to take the owner's connection away with one wrong word.
func (v *Vault) countTry(tx Tx, t *Ticket) (held *owed, err error) {
	t.App.Tries++
	e := v.ticketEntry("connect.failed", *t)
	e.Result, e.Reason = "refused", "proof"
	if err := v.append(tx, e); err != nil {
		return nil, err
	}
	if t.App.Tries >= appTries {
		return v.closeTicket(tx, t, "tries")
	}
	return nil, v.putTicket(tx, v.Pseudonym(t.Owner.Caller), t)
}

// completeHeld makes an account of what is held.
func (v *Vault) completeHeld(tx Tx, t *Ticket) (a account, err error) {
	if err := v.mayOpen(tx, v.Pseudonym(t.Owner.Caller), t.Agent, t.Options); err != nil {
		return a, err
	}
	e := v.heldEntry("grant.confirmed", *t, ByApplication)
	h, err := v.takeHeld(tx, *t)
	if err != nil {
		return a, err
	}
	return v.storeHeld(tx, t, h, e)
}

func (v *Vault) noteForeign(ctx context.Context, t Ticket, c Completion, err error) {
	if !errors.Is(err, ErrForeign) {
		return
	}
	e := v.ticketEntry("connect.subject_mismatch", t)
	e.Result, e.Reason, e.Caller, e.Agent = "refused", "foreign", c.Caller, c.Agent
	if err := v.Note(ctx, e); err != nil {
		v.log.Error("writing the audit entry", "error", err)
	}
}
