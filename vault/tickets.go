package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

const (
	recTicket  = "ticket"
	recPointer = "ticket.open" // (caller, agent, options) → id of the open ticket

	ticketKept = 7 * 24 * time.Hour // after its expiry, so that the page can say so
)

// Handle is a ticket's link part: HMAC(ticket key, row id), so that the same
// link can be given again while the store has only its hash. 32 characters.
func (v *Vault) Handle(t Ticket) string { return v.handleOf(t.ID) }

func (v *Vault) handleOf(id string) string {
	m := hmac.New(sha256.New, v.keys.ticket)
	m.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:24])
}

// OpenTicket answers the ticket for what an exchange lacked: the open one of the
// same caller, agent and options when there is one, else a fresh one. It
// answers *BackOffError when the person declined lately, and *LimitError.
func (v *Vault) OpenTicket(ctx context.Context, r TicketRequest) (t Ticket, fresh bool, err error) {
	if err := v.needOf(ctx, &r); err != nil {
		return t, false, err
	}
	if r.Need == nil || !r.Need.Reason.Mendable() || len(r.Need.Options) == 0 {
		return t, false, fmt.Errorf("opening ticket: nothing that a person can mend")
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		user, _, err := v.ensureUser(tx, r.Owner.Caller)
		if err != nil {
			return err
		}
		if err := v.mayOpen(tx, user, r.Agent, r.Need.Options); err != nil {
			return err
		}
		if err := v.declinedLately(tx, user, r); err != nil {
			return err
		}
		pointer := v.pointer(user, r)
		if t, err = v.pointed(tx, pointer); err == nil && !t.Over() {
			fresh = false
			return nil
		}
		if err == nil && t.State == TicketExpired { // its pointer is replaced below
			if err := v.noteExpired(tx, t); err != nil {
				return err
			}
		}
		if err := v.mayAsk(tx, user, r); err != nil {
			return err
		}
		t, fresh, err = v.newTicket(r), true, nil
		if t.ID, err = v.newID("t_"); err != nil {
			return err
		}
		if r.Write != nil {
			if err := v.newApproval(tx, user, &t, *r.Write); err != nil {
				return err
			}
		}
		if err := v.putTicket(tx, user, &t); err != nil {
			return err
		}
		if err := v.putRecord(tx, recPointer, pointer, user, []byte(t.ID), Millis(t.Expires.Add(flowTTL))); err != nil {
			return err
		}
		return v.append(tx, v.ticketEntry("ticket.opened", t))
	})
	if err == nil && fresh {
		v.noticeRequest(t)
	}
	v.noteUnasked(ctx, r, err)
	return t, fresh, err
}

// needOf fills in what a write lacks beside its person's yes: nothing, as a rule.
func (v *Vault) needOf(ctx context.Context, r *TicketRequest) error {
	if r.Need != nil || r.Write == nil {
		return nil
	}
	p, err := v.pick(ctx, r.Call)
	if err == nil {
		r.Need = v.lacks(ApprovalRequired, p, nil)
		return nil
	}
	if errors.As(err, &r.Need) && r.Need.Reason.Mendable() {
		return nil
	}
	return err
}

func (v *Vault) newTicket(r TicketRequest) Ticket {
	kind := KindAccess
	if r.Need.Reason == ApprovalRequired {
		kind = KindApprove
	}
	for _, o := range r.Need.Options {
		if o.VendorNeeded {
			kind = KindConnect
		}
	}
	now := v.cfg.Now().UTC()
	r.Owner.Claims = nil // of the session, not of the ticket
	options := r.Need.Options
	if r.Agent == (Agent{}) {
		options = v.withOptional(options)
	}
	return Ticket{
		Kind: kind, Owner: r.Owner, Agent: r.Agent, Tool: r.Tool, Reason: r.Need.Reason, Options: options,
		State: TicketOpen, Created: now, Expires: now.Add(v.cfg.TicketTTL), Wider: r.Wider,
	}
}

// pointer names what an open ticket is for.
func (v *Vault) pointer(user string, r TicketRequest) string {
	parts := []string{user, v.agentKey(r.Agent)}
	for _, o := range r.Need.Options {
		parts = append(parts, o.Connection, o.Grant, provider.FormatScopes(o.Scopes), provider.FormatScopes(o.Missing), strconv.FormatBool(o.VendorNeeded))
	}
	if r.Wider {
		parts = append(parts, "wider")
	}
	if r.Write != nil { // one ticket for each call
		parts = append(parts, r.Write.Tool, hex.EncodeToString(r.Write.Digest))
	}
	return v.index("pointer", parts...)
}

func (v *Vault) pointed(tx Tx, pointer string) (Ticket, error) {
	_, id, err := v.getRecord(tx, recPointer, pointer)
	if err != nil {
		return Ticket{}, err
	}
	return v.ticket(tx, v.handleOf(string(id)))
}

// declinedLately holds the back-off: an agent is not answered with a link while
// all that could serve was declined. Nothing touches the person's own way.
func (v *Vault) declinedLately(tx Tx, user string, r TicketRequest) error {
	if r.Agent == (Agent{}) {
		return nil
	}
	var until int64
	for _, o := range r.Need.Options {
		b, err := v.backOff(tx, user, r.Agent, o.Connection)
		if err != nil {
			return err
		}
		if b.Until <= v.now() {
			return nil
		}
		until = max(until, b.Until)
	}
	return &BackOffError{Connection: r.Need.Options[0].Connection, Until: FromMillis(until)}
}

// mayAsk holds the limits of one caller and agent.
func (v *Vault) mayAsk(tx Tx, user string, r TicketRequest) error {
	if r.Agent == (Agent{}) {
		return nil
	}
	recs, err := tx.Records().List(recTicket, user, v.now())
	if err != nil {
		return err
	}
	open, hour := 0, 0
	for _, rec := range slices.Backward(recs) { // the newest first: those of last week do not count
		t, err := v.decodeTicket(tx, rec)
		if err != nil {
			continue
		}
		age := v.cfg.Now().Sub(t.Created)
		if age > max(time.Hour, v.cfg.TicketTTL+flowTTL) {
			break
		}
		if v.agentKey(t.Agent) != v.agentKey(r.Agent) {
			continue
		}
		if !t.Over() {
			open++
		}
		if age < time.Hour {
			hour++
		}
	}
	return v.withinLimits(open, hour)
}

func (v *Vault) withinLimits(open, hour int) error {
	l := v.cfg.Limits
	if l.OpenTickets > 0 && open >= l.OpenTickets {
		return &LimitError{What: "open_tickets", Max: l.OpenTickets}
	}
	if l.TicketsPerHour > 0 && hour >= l.TicketsPerHour {
		return &LimitError{What: "tickets_per_hour", Max: l.TicketsPerHour, Until: v.cfg.Now().Add(time.Hour)}
	}
	return nil
}

// Ticket answers a ticket by the handle in its link, or ErrNotFound. Looking changes nothing.
func (v *Vault) Ticket(ctx context.Context, handle string) (t Ticket, err error) {
	err = v.store.View(ctx, func(tx Tx) error { t, err = v.ticket(tx, handle); return err })
	return t, err
}

// TicketByID answers a ticket of its owner by row id; another person's is ErrNotFound like an unknown one.
func (v *Vault) TicketByID(ctx context.Context, owner Caller, id string) (Ticket, error) {
	t, err := v.Ticket(ctx, v.handleOf(id))
	if err == nil && t.Owner.Caller != owner {
		return Ticket{}, ErrNotFound
	}
	return t, err
}

// Tickets are what waits for this person, oldest first.
func (v *Vault) Tickets(ctx context.Context, owner Caller) (out []Ticket, err error) {
	err = v.store.View(ctx, func(tx Tx) error { out, err = v.waiting(tx, v.Pseudonym(owner)); return err })
	return out, err
}

func (v *Vault) waiting(tx Tx, user string) (out []Ticket, err error) {
	recs, err := tx.Records().List(recTicket, user, v.now())
	for _, rec := range recs {
		if t, err := v.decodeTicket(tx, rec); err == nil && !t.Over() {
			out = append(out, t)
		}
	}
	return out, err
}

// AwaitTicket answers a ticket when it is over. When ctx ends first it answers the ticket as it is, with ctx's error.
func (v *Vault) AwaitTicket(ctx context.Context, owner Caller, id string) (Ticket, error) {
	for {
		rung := v.bell.wait()
		t, err := v.TicketByID(context.WithoutCancel(ctx), owner, id)
		if err != nil || t.Over() {
			return t, err
		}
		select {
		case <-rung:
		case <-time.After(v.bell.patience()):
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
}

func (v *Vault) ticket(tx Tx, handle string) (Ticket, error) {
	rec, err := tx.Records().Get(recTicket, handleHash(handle), v.now())
	if err != nil {
		return Ticket{}, err
	}
	return v.decodeTicket(tx, rec)
}

// decodeTicket opens a ticket as it stands now: an unanswered one past its time is expired.
func (v *Vault) decodeTicket(tx Tx, rec Record) (t Ticket, err error) {
	plain, err := v.openRecord(tx, rec)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(plain, &t); err != nil {
		return t, fmt.Errorf("decoding ticket: %w", err)
	}
	t.Version = rec.Version
	now := v.cfg.Now()
	if t.Held != nil && !t.Over() && !now.Before(t.Held.Until) { // its time is over: back to the question
		t.State, t.Failure, t.Held = TicketOpen, t.Held.Failure, nil
	}
	if !t.Over() && now.After(t.Expires) && (t.State == TicketOpen || now.After(t.Started.Add(flowTTL))) {
		t.State = TicketExpired
	}
	return t, nil
}

func (v *Vault) putTicket(tx Tx, user string, t *Ticket) error {
	plain, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding ticket: %w", err)
	}
	return v.putRecord(tx, recTicket, v.handleOf(t.ID), user, plain, Millis(t.Expires.Add(ticketKept)))
}

// answerable answers a ticket that this person may still answer.
func (v *Vault) answerable(tx Tx, handle string, p Person) (Ticket, error) {
	t, err := v.ticket(tx, handle)
	switch {
	case err != nil:
		return t, err
	case t.Owner.Caller != p.Caller:
		return Ticket{}, ErrForeign
	case t.Over():
		return t, ErrGone
	}
	return t, nil
}

// Decline ends a ticket by its owner's word. The agent is not answered with a link for a while (R14).
func (v *Vault) Decline(ctx context.Context, handle string, p Person) (t Ticket, err error) {
	var held *owed
	err = v.store.Update(ctx, func(tx Tx) error {
		if t, err = v.answerable(tx, handle, p); err != nil {
			return err
		}
		held, err = v.declined(tx, &t)
		return err
	})
	v.bell.ring()
	v.giveUp(ctx, err, held)
	return t, err
}

// declined answers what the vendor is owed for what the ticket held, nil for nothing.
func (v *Vault) declined(tx Tx, t *Ticket) (held *owed, err error) {
	for _, o := range t.Options {
		if err := v.putBackOff(tx, v.Pseudonym(t.Owner.Caller), t.Agent, o.Connection, false); err != nil {
			return nil, err
		}
	}
	return v.closeTicket(tx, t, string(t.Reason))
}

// closeTicket ends a ticket by its owner's no, with all that hangs on it.
func (v *Vault) closeTicket(tx Tx, t *Ticket, reason string) (held *owed, err error) {
	if held, err = v.dropHeld(tx, t, "declined"); err != nil {
		return nil, err
	}
	t.State = TicketDeclined
	if err := v.putTicket(tx, v.Pseudonym(t.Owner.Caller), t); err != nil {
		return nil, err
	}
	e := v.ticketEntry("ticket.declined", *t)
	e.Reason = reason
	return held, errors.Join(v.append(tx, e), v.unapproved(tx, *t, ApprovalDeclined))
}

// AskAgain answers a new ticket for an expired one, to its owner only.
func (v *Vault) AskAgain(ctx context.Context, handle string, p Person) (Ticket, error) {
	old, err := v.Ticket(ctx, handle)
	switch {
	case err != nil:
		return Ticket{}, err
	case old.Owner.Caller != p.Caller:
		return Ticket{}, ErrForeign
	case old.State != TicketExpired, old.Kind == KindClient, old.App != nil: // a client asks by itself
		return Ticket{}, ErrGone
	}
	r := TicketRequest{Owner: old.Owner, Agent: old.Agent, Tool: old.Tool, Wider: old.Wider, Need: &ConsentError{Reason: old.Reason, Options: old.Options}}
	if old.Approval != "" {
		a, err := v.Approval(ctx, p.Caller, old.Approval)
		if err != nil {
			return Ticket{}, err
		}
		r.Write = &a.Write
	}
	t, _, err := v.OpenTicket(ctx, r)
	return t, err
}

func (v *Vault) ticketEntry(kind string, t Ticket) Entry {
	e := Entry{Kind: kind, Caller: t.Owner.Caller, Agent: t.Agent, Tool: t.Tool, Reason: string(t.Reason), Account: t.Grant}
	if len(t.Options) > 0 {
		e.Connection, e.Scopes = t.Options[0].Connection, t.Options[0].Scopes
	}
	return e
}
