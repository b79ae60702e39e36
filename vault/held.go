package vault

import (
	"context"
	"errors"
	"time"
)

// Held is a grant that came back from the vendor and is not what was expected:
// of another account than the one to reconnect (FlowAccount), or of one whose
// verified e-mail is not its person's (FlowEmail). Its tokens lie sealed and
// unusable until the person has seen both names and said which; at Until they are given back to the vendor.
type Held struct {
	Failure    FlowFailure `json:"failure"` // FlowAccount or FlowEmail
	Connection string      `json:"connection"`
	Got        string      `json:"got"`  // label of the account that came
	Want       string      `json:"want"` // of the one that was expected, or the person's e-mail
	Until      time.Time   `json:"until"`
}

// ConfirmHeld is the owner's word, in the browser that went to the vendor, that
// what is held is theirs: it is stored as an account of its own, and the ticket
// is done with it. Errors are those of Allow, and *FlowError.
func (v *Vault) ConfirmHeld(ctx context.Context, handle string, version int64, p Person, session string) (Ticket, Account, error) {
	return Ticket{}, Account{}, errors.ErrUnsupported
}

// RefuseHeld gives what is held back to the vendor. The ticket is open again.
func (v *Vault) RefuseHeld(ctx context.Context, handle string, p Person) (Ticket, error) {
	return Ticket{}, errors.ErrUnsupported
}
