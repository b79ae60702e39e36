package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
)

// Config is what a server is made of.
type Config struct {
	// Open opens the vault. It is called by the first call that needs it, and
	// again after a failure.
	Open func(context.Context) (Vault, error)
	// Tools are the enabled vendor tools; connections_list and connections_connect are added.
	Tools []tools.Tool
	// Connections are the configured connections: name to provider's name in the catalog.
	Connections map[string]string
	// Writes is the rule for tools that write: "ask" (the default), "allow", "deny" or "client".
	Writes string
	// Policy is the rule of single tools: "ask", "allow" or "deny".
	Policy map[string]string

	PublicURL string // without a trailing slash: "http://127.0.0.1:8787"
	// Pages makes sure that the pages are served and answers their address; nil = PublicURL. A *Notice goes to the person.
	Pages func(context.Context) (string, error)
	// Returns says whether a connection's vendor can send people back to the pages where they are now; nil = always.
	// A *Notice goes to the person.
	Returns        func(connection string) error
	AllowedOrigins []string // besides PublicURL's own: "https://inspector.example.com"
	Issuers        []string // authorization servers for the metadata of RFC 9728
	Scopes         []string // that clients are told to ask of them; nil = openid; not used with RequireScopes
	// RequireScopes asks tokens for our own scopes, see [OwnScopes].
	RequireScopes bool
	Verifier      TokenVerifier
	Records       Records // needed with a Verifier

	// Local is the person of a local vault (stdio). An empty Issuer becomes "local:" and the vault's id.
	Local *vault.Person
	Agent string // --agent; "" = what the client calls itself
	// OpenBrowser shows a link on this desktop; nil = never. Only stdio uses it.
	OpenBrowser func(link string) error

	Version    string
	WaitFor    time.Duration // how long a call waits for a person; 0 = 25 s
	MaxWaiting int           // how many calls wait at most; 0 = 64
	Pulse      time.Duration // how often open streams are looked after; 0 = 10 s
	Limits     Limits
	Now        func() time.Time // nil = time.Now
	Rand       io.Reader        // nil = crypto/rand
	Logger     *slog.Logger     // nil = none
}

// Limits bound what one caller and agent can do in a minute; 0 = no limit.
type Limits struct {
	CallsPerMinute  int
	WritesPerMinute int
}

// TokenVerifier proves the bearer of an HTTP request. [Verifier] is one, and so is [Issuers].
type TokenVerifier interface {
	// Verify answers what a good token says. A *TokenError says that the token is not good; any other error, that it could not be told.
	Verify(ctx context.Context, raw string) (Bearer, error)
}

// Notice is an error whose text is for the person: what is wrong and what to do next.
type Notice struct {
	Text string
	Err  error // for the log
}

// Error is the text.
func (n *Notice) Error() string { return n.Text }

// Unwrap is the cause.
func (n *Notice) Unwrap() error { return n.Err }

const (
	defaultWait    = 25 * time.Second
	defaultWaiting = 64
)

func (c *Config) complete() error {
	var problems []error
	if c.Open == nil {
		problems = append(problems, errors.New("no vault"))
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Path != "" {
		problems = append(problems, fmt.Errorf("public URL %q is not an origin", c.PublicURL))
	}
	if c.Verifier != nil && c.Records == nil {
		problems = append(problems, errors.New("no records for sessions"))
	}
	if c.Writes == "" {
		c.Writes = ruleAsk
	}
	if !slices.Contains([]string{ruleAsk, ruleAllow, ruleDeny, ruleClient}, c.Writes) {
		problems = append(problems, fmt.Errorf("tools.writes: %q is none of ask, allow, deny, client", c.Writes))
	}
	for name, rule := range c.Policy {
		if !slices.Contains([]string{ruleAsk, ruleAllow, ruleDeny}, rule) {
			problems = append(problems, fmt.Errorf("tools.policy.%s: %q is none of ask, allow, deny", name, rule))
		}
	}
	c.fill()
	return errors.Join(problems...)
}

func (c *Config) fill() {
	if c.WaitFor == 0 {
		c.WaitFor = defaultWait
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultWaiting
	}
	if c.Pulse == 0 {
		c.Pulse = pulse
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
	if c.Scopes == nil {
		c.Scopes = []string{"openid"}
	}
}
