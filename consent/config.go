package consent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// Tickets are the requests that a person answers here.
type Tickets interface {
	Ticket(ctx context.Context, handle string) (vault.Ticket, error)
	Tickets(ctx context.Context, owner vault.Caller) ([]vault.Ticket, error)
	TicketByID(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error)
	OpenTicket(ctx context.Context, r vault.TicketRequest) (t vault.Ticket, fresh bool, err error)
	Handle(t vault.Ticket) string
}

// Flows are the ways from a ticket to the vendor and back.
type Flows interface {
	Allow(ctx context.Context, a vault.Answer) (vault.Start, error)
	AllowClient(ctx context.Context, a vault.Answer) (vault.Ticket, error)
	Decline(ctx context.Context, handle string, p vault.Person) (vault.Ticket, error)
	AskAgain(ctx context.Context, handle string, p vault.Person) (vault.Ticket, error)
	Finish(ctx context.Context, c vault.Callback) (vault.Ticket, vault.Account, error)
	FlowOwner(ctx context.Context, connection, state string) (vault.Ticket, error)
}

// Accounts are what a person has connected.
type Accounts interface {
	Accounts(ctx context.Context, c vault.Caller) ([]vault.Account, error)
	Account(ctx context.Context, c vault.Caller, ref string) (vault.Account, error)
	Disconnect(ctx context.Context, c vault.Caller, id string) (vault.Revocation, error)
	SetDefault(ctx context.Context, c vault.Caller, id string) error
	Connections() []string
}

// Permissions are which agents may use which account.
type Permissions interface {
	AccessList(ctx context.Context, c vault.Caller) ([]vault.Access, error)
	RevokeAccess(ctx context.Context, c vault.Caller, id string) error
	MoveAccess(ctx context.Context, c vault.Caller, from, to string) (int, error)
	EndStanding(ctx context.Context, c vault.Caller, id string) error
}

// Diary is what was done in a person's name.
type Diary interface {
	Activity(ctx context.Context, c vault.Caller, q vault.ActivityQuery) (page []vault.Activity, next string, err error)
}

// Switches end at once what a person allowed.
type Switches interface {
	Stop(ctx context.Context, c vault.Caller, s vault.StopScope) (vault.Stopped, error)
	Resume(ctx context.Context, c vault.Caller, s vault.StopScope) error
	Stops(ctx context.Context, c vault.Caller) ([]vault.Stop, error)
}

// Approvals are the writes that wait for a person's yes, and what came from a vendor and waits for their word.
type Approvals interface {
	Approval(ctx context.Context, owner vault.Caller, id string) (vault.Approval, error)
	ConfirmHeld(ctx context.Context, handle string, version int64, p vault.Person, session string) (vault.Ticket, vault.Account, error)
	RefuseHeld(ctx context.Context, handle string, p vault.Person) (vault.Ticket, error)
}

// Acquaintances are the agents that a person has met.
type Acquaintances interface {
	Agents(ctx context.Context, c vault.Caller) ([]vault.KnownAgent, error)
	AgentKey(a vault.Agent) string
}

// Notary is what the pages need of the vault's keys and its audit.
type Notary interface {
	MAC(label string, msg []byte) []byte
	Pseudonym(c vault.Caller) string
	Audit(ctx context.Context, e vault.Entry) error
	Note(ctx context.Context, e vault.Entry) error
}

// Applications are those that had a person connect an account.
type Applications interface {
	ConnectCode(t vault.Ticket, session string) (code string, ok bool)
}

// Vault is everything that the pages call of *vault.Vault, in parts.
type Vault interface {
	Tickets
	Flows
	Accounts
	Permissions
	Approvals
	Acquaintances
	Diary
	Switches
	Applications
	Notary
}

// Records keep browser sessions, sign-ins under way and wrong codes, sealed (*vault.Records).
type Records interface {
	Put(ctx context.Context, kind, handle string, owner vault.Caller, value []byte, ttl time.Duration) error
	Get(ctx context.Context, kind, handle string) ([]byte, error)
	Take(ctx context.Context, kind, handle string) ([]byte, error)
	Delete(ctx context.Context, kind, handle string) error
	Change(ctx context.Context, kind, handle string, fn func(old []byte) (value []byte, ttl time.Duration, err error)) error
}

// Config is what the pages are made of. Exactly one of Local and SignIn is set.
type Config struct {
	Vault   Vault
	Records Records
	// PublicURL is the address that browsers use: scheme and host, no trailing slash.
	PublicURL string
	// Machine is the name of the machine, shown so that a person sees whose vault it is.
	Machine string
	// Local is the one person of a local vault. Their browsers are told by Peer; every other one signs in by a code (NewSignInCode).
	Local *vault.Person
	// SignIn is where people sign in, on a vault of several people.
	SignIn *SignInConfig
	// Peer says whose browser it is, on a local vault: nil is the local person's,
	// ErrPeerUnknown one that signs in by a code, and any other error is refused.
	// Without a Peer every browser signs in by a code. See SameUser.
	Peer func(r *http.Request) error
	// Logins are those at the built-in authorization server; nil where agents log in elsewhere.
	Logins Logins
	// Connection answers a configured connection by its name.
	Connection func(name string) (*provider.Connection, bool)
	// Scopes are what a connection that a person starts on the page asks for
	// (what the enabled tools need); nil = none besides those that the provider always asks for.
	Scopes func(connection string) []string
	// AccessTTL is how long an agent's access lasts, for the page to say so; 0 = 720h.
	AccessTTL time.Duration
	// Sandbox puts a banner on every page.
	Sandbox bool
	Now     func() time.Time // nil = time.Now
	Rand    io.Reader        // nil = crypto/rand
	Logger  *slog.Logger     // nil = discard
}

// SignInConfig is the OpenID Connect issuer at which browsers sign in.
type SignInConfig struct {
	Issuer       string
	ClientID     string
	ClientSecret provider.Secret // zero = a public client
	// SubjectClaims are the ID token's claims that identify a person; empty = sub.
	SubjectClaims []string
	// Claims are the claims that a connection's rule names: a person's are kept with their session, all others are not.
	Claims []string
	// MaxAge is how old a sign-in may be, at the issuer and as a session here; 0 = 8h.
	MaxAge time.Duration
	// Idle ends a session that was not used for so long; 0 = 1h.
	Idle time.Duration
	// HTTP's transport reaches the issuer; nil = http.DefaultTransport. Answers are capped and redirects not followed.
	HTTP *http.Client
	// LoopbackHTTP allows an issuer on plain http on this machine.
	LoopbackHTTP bool
}

func (c Config) validate() error {
	var errs []error
	miss := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("consent: "+text))
		}
	}
	miss(c.Vault == nil, "Vault is missing")
	miss(c.Records == nil, "Records are missing")
	miss(c.Connection == nil, "Connection is missing")
	miss((c.Local == nil) == (c.SignIn == nil), "exactly one of Local and SignIn is needed")
	miss(c.Local != nil && c.Local.IsZero(), "Local names nobody")
	u, err := url.Parse(c.PublicURL)
	miss(err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "",
		"PublicURL must be scheme and host alone")
	if c.SignIn != nil {
		errs = append(errs, c.SignIn.validate())
	}
	return errors.Join(errs...)
}

func (s SignInConfig) validate() error {
	if s.ClientID == "" {
		return errors.New("consent: SignIn.ClientID is missing")
	}
	for _, claim := range s.SubjectClaims {
		// R04: an address is given to somebody else one day; it never identifies.
		if claim == "email" || claim == "preferred_username" || claim == "upn" {
			return fmt.Errorf("consent: SignIn.SubjectClaims names %q, which does not identify a person for good", claim)
		}
	}
	return checkURL(s.Issuer, s.LoopbackHTTP)
}

// checkURL refuses an address of the issuer that is not https, or loopback http where that is allowed.
func checkURL(raw string, loopbackHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("consent: issuer address %q is not a URL", raw)
	case u.Scheme == "https", u.Scheme == "http" && loopbackHTTP && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("consent: issuer address %q must be https", raw)
}

func (c *Config) fill() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.AccessTTL == 0 {
		c.AccessTTL = 720 * time.Hour
	}
	if c.Scopes == nil {
		c.Scopes = func(string) []string { return nil }
	}
}

func (s SignInConfig) filled() SignInConfig {
	if len(s.SubjectClaims) == 0 {
		s.SubjectClaims = []string{"sub"}
	}
	if s.MaxAge == 0 {
		s.MaxAge = 8 * time.Hour
	}
	if s.Idle == 0 {
		s.Idle = time.Hour
	}
	return s
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
