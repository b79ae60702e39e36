package vault

import (
	"context"
	"errors"
	"slices"
	"time"
)

// clientTicketTTL is how long an authorization request waits for its answer: the client waits at its end.
const clientTicketTTL = 30 * time.Minute

// ClientRequest is what a client asks of a person at the built-in authorization server.
type ClientRequest struct {
	Scopes []string `json:"scopes"` // of Grantry's own; once it is answered, those that were given
	// Offer are further scopes that the owner may add: clients ask for what their first call needs, and are shown no more afterwards.
	Offer    []string `json:"offer,omitempty"`
	Redirect string   `json:"redirect"` // host that receives the answer, or an app's scheme ("cursor:")
	Document string   `json:"document"` // host that published the client's metadata, "" when nobody did
	// Local says that the answer goes to this machine, where any program can wait for it under any name.
	Local bool `json:"local,omitempty"`
	// Remember says that the answer holds for later requests, too.
	Remember bool `json:"remember,omitempty"`
	// Continue is the path that the browser goes on to after the answer, whatever it was.
	Continue string `json:"continue"`
}

// OpenClientTicket makes a ticket for a client that asks to act for owner. Each
// request is one of its own. It answers *LimitError.
func (v *Vault) OpenClientTicket(ctx context.Context, owner Person, agent Agent, c ClientRequest) (t Ticket, err error) {
	if agent.ID == "" || c.Continue == "" {
		return t, errors.New("opening ticket: a client and a way back are needed")
	}
	err = v.store.Update(ctx, func(tx Tx) error {
		user, _, err := v.ensureUser(tx, owner.Caller)
		if err != nil {
			return err
		}
		if err := v.mayAsk(tx, user, TicketRequest{Owner: owner, Agent: agent}); err != nil {
			return err
		}
		now := v.cfg.Now().UTC()
		t = Ticket{
			Kind: KindClient, Owner: owner, Agent: agent, Client: &c,
			State: TicketOpen, Created: now, Expires: now.Add(min(clientTicketTTL, v.cfg.TicketTTL)),
		}
		if t.ID, err = v.newID("t_"); err != nil {
			return err
		}
		if err := v.putTicket(tx, user, &t); err != nil {
			return err
		}
		return v.append(tx, v.clientEntry("ticket.opened", t))
	})
	v.noteUnasked(ctx, TicketRequest{Owner: owner, Agent: agent}, err)
	return t, err
}

// AllowClient is the owner's yes to a ticket of kind client. It changes nothing
// but the ticket: whoever made it goes on from there. Errors: ErrNotFound, ErrForeign, ErrGone, ErrStale.
func (v *Vault) AllowClient(ctx context.Context, a Answer) (t Ticket, err error) {
	err = v.store.Update(ctx, func(tx Tx) error {
		if t, err = v.answerable(tx, a.Handle, a.Person); err != nil {
			return err
		}
		if t.Kind != KindClient {
			return ErrNotFound
		}
		if a.Version != 0 && a.Version != t.Version {
			return ErrStale
		}
		t.State = TicketDone
		for _, one := range t.Client.Offer {
			if slices.Contains(a.Also, one) {
				t.Client.Scopes = append(t.Client.Scopes, one)
			}
		}
		if err := v.putTicket(tx, v.Pseudonym(t.Owner.Caller), &t); err != nil {
			return err
		}
		return v.append(tx, v.clientEntry("ticket.done", t))
	})
	v.bell.ring()
	return t, err
}

func (v *Vault) clientEntry(kind string, t Ticket) Entry {
	e := v.ticketEntry(kind, t)
	e.Scopes = t.Client.Scopes
	return e
}
