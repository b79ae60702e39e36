package authserver

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
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/assertion"
	"github.com/grantry/grantry/vault/provider"
)

const (
	requestTTL   = 30 * time.Minute // from the authorization request to its answer
	answerTTL    = time.Minute      // a browser that comes again gets the same redirect
	codeTTL      = time.Minute      // R49
	accessTTL    = 10 * time.Minute
	idTokenTTL   = time.Hour
	refreshIdle  = 30 * 24 * time.Hour
	refreshTotal = 90 * 24 * time.Hour
	replayWindow = 10 * time.Second // in which a lost answer can be asked for again (R51)
	rememberTTL  = 90 * 24 * time.Hour
	registerTTL  = 24 * time.Hour // of a client that nobody has authorized
	forever      = 20 * 365 * 24 * time.Hour
)

// Vault is what the server needs of *vault.Vault.
type Vault interface {
	OpenClientTicket(ctx context.Context, owner vault.Person, agent vault.Agent, c vault.ClientRequest) (vault.Ticket, error)
	TicketByID(ctx context.Context, owner vault.Caller, id string) (vault.Ticket, error)
	Handle(t vault.Ticket) string
	MAC(label string, msg []byte) []byte
	Pseudonym(c vault.Caller) string
	Note(ctx context.Context, e vault.Entry) error
}

// Records keep all that the server remembers, sealed (*vault.Records).
type Records interface {
	Put(ctx context.Context, kind, handle string, owner vault.Caller, value []byte, ttl time.Duration) error
	Get(ctx context.Context, kind, handle string) ([]byte, error)
	List(ctx context.Context, kind string, owner vault.Caller) ([][]byte, error)
	Change(ctx context.Context, kind, handle string, fn func(old []byte) (value []byte, ttl time.Duration, err error)) error
	Delete(ctx context.Context, kind, handle string) error
}

// Pages are what people see (*consent.Handler).
type Pages interface {
	// Visitor answers who is signed in in the browser of r. Where nobody is, it
	// has answered itself: the browser signs in and comes back to the same address.
	Visitor(w http.ResponseWriter, r *http.Request) (vault.Person, bool)
	// RefuseClient answers with a page that says why an authorization request leads nowhere. why is one of the Refused codes.
	RefuseClient(w http.ResponseWriter, r *http.Request, why string)
}

// Why an authorization request is answered with a page and no redirect.
const (
	RefusedRequest  = "request"  // client_id or redirect_uri is missing or given twice
	RefusedClient   = "client"   // nobody registered the client
	RefusedDocument = "document" // the client's metadata document cannot be had or is not good
	RefusedRedirect = "redirect" // the redirect URI is none of the client's (R47)
	RefusedBrowser  = "browser"  // the request was started in another browser (R50)
	RefusedOver     = "over"     // the request is over
	RefusedBroken   = "broken"   // the vault could not be used
)

// Config is what a server is made of.
type Config struct {
	Vault   Vault
	Records Records
	Pages   Pages
	// PublicURL is the issuer: scheme and host, no trailing slash.
	PublicURL string
	// Clients are MCP clients of the config, by client id.
	Clients map[string]Client
	// Workloads are those of the config that may sign people in, by name. None is an MCP client, too.
	Workloads map[string]Workload
	// CallsPerMinute is how often one client may ask for tokens from one address; 0 = as often as it likes.
	CallsPerMinute int
	// Grants are what the app's token endpoint takes besides, for the metadata.
	Grants []string
	// Registration lets clients register themselves (RFC 7591).
	Registration bool
	// Fetch gets a client's metadata document: https only, public addresses
	// only, no redirects, at most 5 KiB. nil = clients cannot name themselves by an address.
	Fetch func(ctx context.Context, address string) (http.Header, []byte, error)
	// FetchKeys gets a key set that a metadata document names, as Fetch does but
	// for a larger size. nil = documents give their keys themselves.
	FetchKeys func(ctx context.Context, address string) (http.Header, []byte, error)
	Now       func() time.Time // nil = time.Now
	Rand      io.Reader        // nil = crypto/rand
	Logger    *slog.Logger     // nil = none
}

// Client is a client that the operator has registered.
type Client struct {
	Secret       provider.Secret // zero = a public client
	RedirectURIs []string
}

// Workload is an application that signs people in here, for {public_url}/ and
// {public_url}/me/ alone. It proves itself by Secret or by Keys, never by both.
type Workload struct {
	Secret       provider.Secret
	Keys         assertion.KeySource // private_key_jwt
	RedirectURIs []string
	Addresses    []netip.Prefix // where it may call the token endpoint from; empty = anywhere
}

func (c *Config) complete() error {
	if c.Vault == nil || c.Records == nil || c.Pages == nil {
		return errors.New("configuring authorization server: vault, records and pages are required")
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return errors.New("configuring authorization server: PublicURL must be scheme and host alone")
	}
	for name, w := range c.Workloads {
		if _, both := c.Clients[name]; both {
			return fmt.Errorf("configuring authorization server: %s is a client and a workload", name)
		}
		if w.Secret.IsZero() == (w.Keys == nil) || len(w.RedirectURIs) == 0 {
			return fmt.Errorf("configuring authorization server: workload %s needs redirect URIs, and a secret or keys", name)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
