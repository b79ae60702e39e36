package vault

import (
	"time"
)

// TicketKind is what a person is asked for.
type TicketKind string

// The kinds of tickets.
const (
	KindConnect TicketKind = "connect" // an account at a vendor (and the agent's access to it)
	KindAccess  TicketKind = "access"  // only an agent's access to an account that is there
	KindApprove TicketKind = "approve" // a write
	KindClient  TicketKind = "client"  // an authorization request of the built-in server
)

// TicketState is how far a ticket is.
type TicketState string

// The states of a ticket. A failed vendor visit leads back to open: its owner may press Allow again.
const (
	TicketOpen     TicketState = "open"
	TicketStarted  TicketState = "started" // the owner has pressed Allow
	TicketDone     TicketState = "done"
	TicketDeclined TicketState = "declined"
	TicketExpired  TicketState = "expired"
)

// Ticket is something that a person must do in a browser. The pages show it
// and record how it ended; whoever made it goes on from there.
type Ticket struct {
	ID      string      `json:"id"` // row id; the link holds Handle, never the id
	Kind    TicketKind  `json:"kind"`
	Owner   Person      `json:"owner"`
	Agent   Agent       `json:"agent"`          // zero when the person asked for themselves (grantry connect, /connections)
	Tool    string      `json:"tool,omitempty"` // the tool whose call led here, "" when none
	Reason  Reason      `json:"reason"`
	Options []Option    `json:"options"` // ways to satisfy it; the page asks when there are several
	State   TicketState `json:"state"`
	Failure FlowFailure `json:"failure,omitempty"` // of the last vendor visit, "" when none failed
	Grant   string      `json:"grant,omitempty"`   // TicketDone: the account
	Once    bool        `json:"once,omitempty"`    // TicketDone: access for one call only
	Created time.Time   `json:"created"`
	Started time.Time   `json:"started"` // last Allow
	Expires time.Time   `json:"expires"` // may be opened until then
	// Version counts changes: the page's form names the one that it shows, so that of two answers one counts.
	Version int64 `json:"-"`
	// Flow is the hash of the last Allow's state: an earlier one is void.
	Flow string `json:"flow,omitempty"`
}

// Over says whether nothing more can be done with it.
func (t Ticket) Over() bool {
	return t.State == TicketDone || t.State == TicketDeclined || t.State == TicketExpired
}

// option answers the way that the owner chose; "" is the first.
func (t Ticket) option(connection string) (Option, bool) {
	for _, o := range t.Options {
		if connection == "" || o.Connection == connection {
			return o, true
		}
	}
	return Option{}, false
}

// TicketRequest asks for a ticket.
type TicketRequest struct {
	Owner Person
	Agent Agent // zero: the person asks for themselves
	Tool  string
	Need  *ConsentError // what an exchange lacked
}

// Answer is what the owner says on the page.
type Answer struct {
	Handle      string
	Version     int64  // Ticket.Version of the page; 0 = whatever it is now
	Person      Person // who is signed in there
	Once        bool   // access for the next call within 10 minutes only
	Connection  string // which option; "" = the first
	RedirectURI string // of that connection
	Session     string // id of the browser session, checked again at the callback
}

// Start is what follows an Allow.
type Start struct {
	Ticket Ticket
	// AuthURL is the vendor's page, "" when nothing of the vendor was needed and the ticket is done.
	AuthURL string
	// Cookie binds the flow to this browser; give it back in Callback.
	Cookie string
}

// Callback is what came back from the vendor with the browser.
type Callback struct {
	Connection string // from the path
	State      string
	Code       string
	Iss        string
	Error      string // the vendor's error code, "" when none
	Cookie     string // the browser's flow cookie
	Session    string
	Person     Person // who is signed in in this browser
}
