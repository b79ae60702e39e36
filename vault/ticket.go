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
	ID      string         `json:"id"` // row id; the link holds Handle, never the id
	Kind    TicketKind     `json:"kind"`
	Owner   Person         `json:"owner"`
	Agent   Agent          `json:"agent"`          // zero when the person asked for themselves (grantry connect, /connections)
	Tool    string         `json:"tool,omitempty"` // the tool whose call led here, "" when none
	Reason  Reason         `json:"reason"`
	Options []Option       `json:"options"`          // ways to satisfy it; the page asks when there are several
	Client  *ClientRequest `json:"client,omitempty"` // KindClient: who wants to act for the owner
	State   TicketState    `json:"state"`
	Failure FlowFailure    `json:"failure,omitempty"` // of the last vendor visit, "" when none failed
	Grant   string         `json:"grant,omitempty"`   // TicketDone: the account
	Once    bool           `json:"once,omitempty"`    // TicketDone: access for one call only
	Created time.Time      `json:"created"`
	Started time.Time      `json:"started"` // last Allow
	Expires time.Time      `json:"expires"` // may be opened until then
	// Version counts changes: the page's form names the one that it shows, so that of two answers one counts.
	Version int64 `json:"-"`
	// Flow is the hash of the last Allow's state: an earlier one is void.
	Flow string `json:"flow,omitempty"`
	// Approval is the write that it asks for (Vault.Approval), "" when none.
	Approval string `json:"approval,omitempty"`
	// Held is what came from the vendor and waits for its owner's word, nil when nothing does; State is then TicketStarted.
	Held *Held `json:"held,omitempty"`
	// Wider says that the agent is handed tokens that can do more than Options list, where the vendor gives none that can do less. The page says so.
	Wider bool `json:"wider,omitempty"`
	// App is the application that asked for it at the connected-accounts API, nil when none did; then Agent is that application.
	App *AppRequest `json:"app,omitempty"`
	// Lost are scopes that the account had before, or that its owner had agreed to, and that the vendor did not grant this time (TicketDone).
	Lost []string `json:"lost,omitempty"`
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
	Need  *ConsentError // what an exchange lacked; nil where only the yes to Write is missing
	// Write is a call that needs its person's yes, nil for a ticket without one. With Need the same ticket asks for both.
	Write *Write
	// Wider says that the agent is a workload that is handed wider tokens than its ceiling (Ceiling.Wider). Its person's yes is to that, too.
	Wider bool
	// Call is the request that Write would run under. Where Need is nil its account is picked, and what else it lacks is asked for, too.
	Call Request
}

// Answer is what the owner says on the page.
type Answer struct {
	Handle      string
	Version     int64    // Ticket.Version of the page; 0 = whatever it is now
	Person      Person   // who is signed in there
	Once        bool     // access for the next call within 10 minutes only
	Connection  string   // which option; "" = the first
	RedirectURI string   // of that connection
	Also        []string // of ClientRequest.Offer, what the owner adds
	Session     string   // id of the browser session, checked again at the callback

	Without []string      // of the option's Optional, those that the owner leaves out
	TTL     time.Duration // of the agent's access; 0, or more than the default: the default
	Agents  []string      // of a ticket that a person made for themselves: keys (Vault.AgentKey) of the agents that may use the account
	Move    string        // key of an earlier agent whose access goes over to the ticket's
	Approve ApproveFor    // how long the yes to a write lasts
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
