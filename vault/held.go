package vault

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	recHeld = "held"
	heldFor = 10 * time.Minute
)

// Held is a grant that came back from the vendor and waits for a word: it is not what was expected,
// of another account than the one to reconnect (FlowAccount) or of one whose
// verified e-mail is not its person's (FlowEmail), or an application has to complete it. Its tokens lie sealed and
// unusable until the person has seen both names and said which, and the application has completed it; at Until they are given back to the vendor.
type Held struct {
	Failure    FlowFailure `json:"failure"` // FlowAccount, FlowEmail, or "" where only the application's word is missing
	Connection string      `json:"connection"`
	Got        string      `json:"got"`  // label of the account that came
	Want       string      `json:"want"` // of the one that was expected, or the person's e-mail
	Until      time.Time   `json:"until"`
}

// heldGrant is the sealed form of what is held.
type heldGrant struct {
	Flow        flow              `json:"flow"`
	Person      Person            `json:"person"`
	Who         provider.Identity `json:"who"`
	Destination []byte            `json:"destination"`
	Access      accessSet         `json:"access"`
	Refresh     string            `json:"refresh,omitempty"`
	Expires     int64             `json:"expires,omitempty"`
	RefreshEnd  int64             `json:"refresh_end,omitempty"`
	Scopes      []string          `json:"scopes"`
	Confirmed   bool              `json:"confirmed,omitempty"`
}

// received is what is held as it came from the vendor.
func (h heldGrant) received(conn *provider.Connection) received {
	return received{fl: h.Flow, person: h.Person, conn: conn, who: &h.Who, grant: &provider.Grant{
		Access: provider.NewSecret(h.Access.Token), Refresh: provider.NewSecret(h.Refresh), APIBase: h.Access.APIBase,
		Expiry: FromMillis(h.Expires), RefreshEnd: FromMillis(h.RefreshEnd), Scopes: h.Scopes, Confirmed: h.Confirmed,
	}}
}

// hold keeps what came until its person has said whose it is, and answers fe. Where that cannot be, it is given back.
func (v *Vault) hold(ctx context.Context, r received, fe *FlowError) *FlowError {
	_, err := v.putHeld(ctx, r, Held{Failure: fe.Failure, Connection: r.fl.Connection, Got: fe.Got, Want: fe.Want})
	if err != nil {
		v.log.Error("holding a grant", "connection", r.fl.Connection, "error", err)
		return v.giveBack(ctx, r, fe)
	}
	fe.Held, fe.Connection, fe.Ticket = true, r.fl.Connection, r.fl.Ticket
	return fe
}

// putHeld seals what came, beside its ticket.
func (v *Vault) putHeld(ctx context.Context, r received, what Held) (t Ticket, err error) {
	set := v.refreshed(GrantRow{}, tokens{}, r.grant).tokens
	h := heldGrant{
		Flow: r.fl, Person: r.person, Who: *r.who, Destination: r.conn.Destination(), Access: set.access, Refresh: set.refresh,
		Expires: Millis(r.grant.Expiry), RefreshEnd: Millis(r.grant.RefreshEnd), Scopes: r.grant.Scopes, Confirmed: r.grant.Confirmed,
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		if t, err = v.ticket(tx, v.handleOf(r.fl.Ticket)); err != nil {
			return err
		}
		if t.Over() {
			return ErrGone
		}
		return v.keepHeld(tx, &t, h, what)
	})
	v.bell.ring()
	return t, err
}

// keepHeld holds h from now on, for what.
func (v *Vault) keepHeld(tx Tx, t *Ticket, h heldGrant, what Held) error {
	now := v.cfg.Now().UTC()
	what.Until = now.Add(heldFor)
	t.State, t.Started, t.Failure, t.Held = TicketStarted, now, "", &what
	reason := string(what.Failure)
	if what.ForApp() {
		t.App.Browser, t.App.Tries, reason = hashed(h.Flow.Session), 0, ByApplication
	}
	plain, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encoding held grant: %w", err)
	}
	user := v.Pseudonym(h.Flow.Owner)
	if err := v.putRecord(tx, recHeld, t.ID, user, plain, Millis(what.Until)); err != nil {
		return err
	}
	return errors.Join(v.putTicket(tx, user, t), v.append(tx, v.heldEntry("grant.held", *t, reason)))
}

func (v *Vault) heldEntry(kind string, t Ticket, reason string) Entry {
	e := v.ticketEntry(kind, t)
	e.Connection, e.Reason = t.Held.Connection, reason
	if kind != "grant.confirmed" && reason != ByApplication {
		e.Result = "refused"
	}
	return e
}

// ConfirmHeld is the owner's word, in the browser that went to the vendor, that
// what is held is theirs: it is stored as an account of its own, and the ticket
// is done with it. What an application asked for is held on, for its word (Held.ForApp), and no account yet. Errors are those of Allow, and *FlowError.
func (v *Vault) ConfirmHeld(ctx context.Context, handle string, version int64, p Person, session string) (Ticket, Account, error) {
	if err := v.lives(ctx); err != nil {
		return Ticket{}, Account{}, err
	}
	var t Ticket
	var a account
	err := v.store.Update(ctx, func(tx Tx) (err error) {
		t, a, err = v.confirmHeld(tx, handle, version, p, session)
		return err
	})
	v.bell.ring()
	var fe *FlowError
	if errors.As(err, &fe) { // another browser
		e := v.heldEntry("connect.subject_mismatch", t, string(fe.Failure))
		if err := v.Note(ctx, e); err != nil {
			v.log.Error("writing the audit entry", "error", err)
		}
	}
	switch {
	case err != nil:
		return Ticket{}, Account{}, err
	case t.Held.ForApp():
		return t, Account{}, nil
	}
	return t, v.view(a), nil
}

func (v *Vault) confirmHeld(tx Tx, handle string, version int64, p Person, session string) (t Ticket, a account, err error) {
	if t, err = v.answerable(tx, handle, p); err != nil {
		return t, a, err
	}
	if version != 0 && version != t.Version {
		return t, a, ErrStale
	}
	h, err := v.takeHeld(tx, t)
	if err != nil {
		return t, a, err
	}
	if subtle.ConstantTimeCompare([]byte(h.Flow.Session), []byte(session)) != 1 {
		return t, a, &FlowError{Failure: FlowBrowser, Connection: h.Flow.Connection, Ticket: t.ID}
	}
	e := v.heldEntry("grant.confirmed", t, string(t.Held.Failure))
	if t.App != nil {
		return t, a, errors.Join(v.append(tx, e), v.keepHeld(tx, &t, h, Held{Connection: h.Flow.Connection, Got: t.Held.Got}))
	}
	a, err = v.storeHeld(tx, &t, h, e)
	return t, a, err
}

// storeHeld makes an account of what was held, and is done with the ticket; e says why.
func (v *Vault) storeHeld(tx Tx, t *Ticket, h heldGrant, e Entry) (a account, err error) {
	conn := v.conns[h.Flow.Connection]
	if !bound(GrantRow{Destination: h.Destination}, conn) {
		return a, &ConsentError{Reason: ConnChanged, Options: []Option{h.Flow.Option}}
	}
	if a, err = v.storeReceived(tx, h.received(conn), t); err != nil {
		return a, err
	}
	if err := v.inheritDefault(tx, h.Flow, &a.row); err != nil {
		return a, err
	}
	e.Account = a.row.ID
	return a, errors.Join(v.append(tx, e), v.complete(tx, t, a.row, h.Flow.Option, h.Flow.terms))
}

// inheritDefault moves the default mark from the account that was to be
// reconnected to the one that came instead, if the former is over.
func (v *Vault) inheritDefault(tx Tx, fl flow, g *GrantRow) error {
	if fl.Option.Grant == "" || fl.Option.Grant == g.ID {
		return nil
	}
	old, err := v.owned(tx, fl.Owner, fl.Option.Grant)
	if err != nil || !old.IsDefault || old.State == string(GrantActive) {
		return unless(ErrNotFound, err)
	}
	old.IsDefault, old.Updated = false, v.now()
	if err := tx.Grants().Swap(old, old.Gen); err != nil {
		return err
	}
	g.IsDefault = true
	if err := tx.Grants().Swap(*g, g.Gen); err != nil {
		return err
	}
	return v.append(tx, Entry{Kind: "account.default", Caller: fl.Owner, Connection: g.Connection, Account: g.ID})
}

// RefuseHeld gives what is held back to the vendor. The ticket is open again.
func (v *Vault) RefuseHeld(ctx context.Context, handle string, p Person) (t Ticket, err error) {
	var o *owed
	err = v.store.Update(ctx, func(tx Tx) error {
		if t, err = v.answerable(tx, handle, p); err != nil {
			return err
		}
		if t.Held == nil || t.Held.ForApp() { // that one is closed by a no (Decline)
			return ErrGone
		}
		t.State, t.Failure = TicketOpen, t.Held.Failure
		if o, err = v.dropHeld(tx, &t, "declined"); err != nil {
			return err
		}
		return v.putTicket(tx, v.Pseudonym(p.Caller), &t)
	})
	v.bell.ring()
	v.giveUp(ctx, err, o)
	return t, err
}

// noWaits is how long an answer of no waits for a vendor.
const noWaits = 5 * time.Second

// giveUp tells the vendor of what was held and its person does not want, now that err says
// it is written down. A slow vendor is heard behind the answer's back, and one that
// does not confirm is asked again in the background.
func (v *Vault) giveUp(ctx context.Context, err error, held *owed) {
	if err != nil || held == nil || !v.work.enter() {
		return
	}
	told := make(chan struct{})
	go func() {
		defer v.work.leave()
		defer close(told)
		_, _ = v.settle(context.WithoutCancel(ctx), held)
	}()
	select {
	case <-told:
	case <-time.After(noWaits):
	}
}

// dropHeld takes what a ticket holds, and answers what its vendor is owed: nil where there is nothing to tell.
func (v *Vault) dropHeld(tx Tx, t *Ticket, reason string) (*owed, error) {
	if t.Held == nil {
		return nil, nil
	}
	e := v.heldEntry("grant.refused", *t, reason)
	t.Held = nil
	h, err := v.takeHeld(tx, *t)
	if err != nil {
		return nil, unless(ErrGone, err)
	}
	o, err := v.oweHeld(tx, h)
	return o, errors.Join(err, v.append(tx, e))
}

func (v *Vault) oweHeld(tx Tx, h heldGrant) (*owed, error) {
	row := GrantRow{
		User: v.Pseudonym(h.Flow.Owner), Connection: h.Flow.Connection, Destination: h.Destination,
		AccountKey: v.accountKey(h.Flow.Connection, h.Who.ID),
	}
	return v.owe(tx, row, tokens{access: h.Access, refresh: h.Refresh}, h.Who.ID)
}

// takeHeld removes what a ticket holds, and answers it: ErrGone when nothing is.
func (v *Vault) takeHeld(tx Tx, t Ticket) (h heldGrant, err error) {
	plain, err := v.takeRecord(tx, recHeld, t.ID)
	if errors.Is(err, ErrNotFound) {
		return h, ErrGone
	}
	if err != nil {
		return h, err
	}
	return h, decodeHeld(plain, &h)
}

func decodeHeld(plain []byte, h *heldGrant) error {
	if err := json.Unmarshal(plain, h); err != nil {
		return fmt.Errorf("decoding held grant: %w", err)
	}
	return nil
}

// expireHeld is for what nobody confirmed in time: its record is taken already.
func (v *Vault) expireHeld(tx Tx, rec Record) (*owed, error) {
	plain, err := v.openRecord(tx, rec)
	if err != nil {
		return nil, unlessDamaged(err)
	}
	var h heldGrant
	if err := decodeHeld(plain, &h); err != nil {
		return nil, err
	}
	o, err := v.oweHeld(tx, h)
	if err != nil {
		return nil, err
	}
	e := Entry{
		Kind: "grant.refused", Caller: h.Flow.Owner, Connection: h.Flow.Connection, Scopes: h.Scopes, Result: "refused", Reason: "expired",
	}
	return o, v.append(tx, e)
}

// dropAllHeld takes what is held of a user who is deleted.
func (v *Vault) dropAllHeld(tx Tx, user string) (debts []*owed, err error) {
	recs, err := tx.Records().List(recHeld, user, 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		if _, err := tx.Records().Take(rec.Kind, rec.Hash, 0); err != nil {
			return nil, err
		}
		o, err := v.expireHeld(tx, rec)
		if err != nil {
			return nil, err
		}
		debts = append(debts, o)
	}
	return debts, nil
}
