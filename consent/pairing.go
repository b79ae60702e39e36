package consent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/grantry/grantry/vault"
)

const (
	kindPairing = "pairing"       // by the code: a Pairing, until somebody types it
	kindPaired  = "pairing-taken" // by the pairing's id: whose ticket it became
	kindFrom    = "pairing-from"  // by the ticket's id: an origin

	// PairingTTL is how long a pairing's code may be typed at /pair.
	PairingTTL = 10 * time.Minute
	// pairedKept is how long a terminal may still learn whose ticket its pairing became: as long as a ticket lives.
	pairedKept = 25 * time.Hour
	// pairingLook is how often a terminal looks whether its code was typed.
	pairingLook = time.Second
)

// ErrPairingOver says that nobody typed a pairing's code while it was good.
var ErrPairingOver = errors.New("nobody typed the code in time")

// Pairing is an account that somebody at a terminal wants to be connected,
// before it is known whose it becomes: of whoever signs in and types the code.
type Pairing struct {
	ID         string    `json:"id"` // names it to AwaitPairing; set by New
	Code       string    `json:"-"`  // "BCDF-GHJK"; set by New
	Connection string    `json:"connection"`
	Scopes     []string  `json:"scopes"`
	Machine    string    `json:"machine"` // where the terminal is, as the person would call it
	From       string    `json:"from"`    // who sits there, as the machine calls them; "" where that is unknown
	Expires    time.Time `json:"expires"` // set by New
}

// paired is what became of a pairing.
type paired struct {
	Owner  vault.Caller `json:"owner"`
	Ticket string       `json:"ticket"`
}

// PairingVault is what a terminal needs of *vault.Vault.
type PairingVault interface {
	Keys
	AwaitTicket(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error)
}

// Pairings are the terminal's side of /pair. They need no page of this process: terminal and pages meet in the records.
type Pairings struct {
	Vault   PairingVault
	Records Records
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
}

func (p *Pairings) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Pairings) rand() io.Reader {
	if p.Rand == nil {
		return rand.Reader
	}
	return p.Rand
}

// New stores what is to be connected, and answers it with the code that a
// person types at /pair within PairingTTL.
func (p *Pairings) New(ctx context.Context, what Pairing) (Pairing, error) {
	var err error
	if what.Code, err = newCode(p.rand()); err != nil {
		return Pairing{}, err
	}
	if what.ID, err = randomFrom(p.rand()); err != nil {
		return Pairing{}, err
	}
	what.Expires = p.now().Add(PairingTTL)
	value, err := json.Marshal(what)
	if err != nil {
		return Pairing{}, fmt.Errorf("encoding pairing: %w", err)
	}
	err = p.Records.Put(ctx, kindPairing, codeHandle(p.Vault, kindPairing, what.Code), vault.Caller{}, value, PairingTTL)
	if err != nil {
		return Pairing{}, fmt.Errorf("storing pairing: %w", err)
	}
	return what, nil
}

// Await answers the ticket that a pairing became, when that is over: its Owner
// is who typed the code, its State says how it ended, its Grant is the account.
// The error is ErrPairingOver when nobody typed the code. When ctx ends first,
// it is ctx's, beside the ticket as far as there is one.
func (p *Pairings) Await(ctx context.Context, what Pairing) (vault.Ticket, error) {
	for {
		var t paired
		err := decoded(&t)(p.Records.Get(context.WithoutCancel(ctx), kindPaired, what.ID))
		switch {
		case err == nil:
			return p.Vault.AwaitTicket(ctx, t.Owner, t.Ticket)
		case !errors.Is(err, vault.ErrNotFound):
			return vault.Ticket{}, fmt.Errorf("reading pairing: %w", err)
		case p.now().After(what.Expires.Add(2 * pairingLook)): // who typed it in the last second is found above
			return vault.Ticket{}, ErrPairingOver
		}
		select {
		case <-time.After(pairingLook):
		case <-ctx.Done():
			return vault.Ticket{}, ctx.Err()
		}
	}
}
