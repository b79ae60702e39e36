package config

import (
	"net/netip"
	"time"

	"github.com/grantry/grantry/vault/provider"
)

// Config is the whole configuration, defaults filled in, flags applied and
// every path absolute.
type Config struct {
	File string // absolute path of the file read; "" = built-in defaults

	Listen         string         // host:port; port 0 = any free one; an empty host = every address
	PublicURL      string         // scheme://host[:port] without a final slash; "" = http:// and the address really bound
	TLS            TLS            // certificate files; zero = plain http
	AllowedHosts   []string       // lower-case host or host:port, besides PublicURL's
	AllowedOrigins []string       // scheme://host[:port], as browsers send them
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-* headers count
	AdminListen    string         // host:port of /metrics; "" = off
	DataDir        string         // the vault's folder; with Sandbox already {data_dir}/sandbox
	Store          Database       // the vault's rows; zero = SQLite, and so it is with Sandbox
	Keys           Sealing        // where the key-encryption key comes from
	Identity       Identity       // who signs people in
	Clients        map[string]Client
	Connections    map[string]Connection
	Tools          Tools
	Access         Access
	Limits         Limits
	Reap           Reap
	Audit          Audit
	Notify         Command // run for a new request to a person and for a grant that dies; zero = none
	Workloads      map[string]Workload

	Sandbox bool          // started with --sandbox
	Ignored []string      // top-level keys that the file set and the sandbox does not use, in alphabetical order
	Secrets []NamedSecret // every secret reference that is in use, by path, in alphabetical order
}

// TLS names a PEM certificate chain and its private key. Both or neither are set.
type TLS struct{ Cert, Key string }

// Sealing says where the key that encrypts the vault comes from.
type Sealing struct{ Source KeySource }

// Identity says who signs people in: an external issuer, an upstream of the
// built-in server, or (neither) the built-in sign-in alone.
type Identity struct {
	Issuer        string         // "" = built-in sign-in
	ClientID      string         // ours, at Issuer
	ClientSecret  SecretRef      // zero = public client
	Audiences     []string       // of access tokens for MCP, besides {public_url}/mcp
	Also          []Issuer       // more issuers whose access tokens are taken
	SubjectClaims []string       // what tells people apart; never an e-mail (R04)
	AgentClaims   []string       // where an agent's client id is looked for, in order; dots lead into objects
	RequireScopes bool           // whether an MCP token must carry our scopes
	MaxAge        time.Duration  // how old a browser's sign-in at Issuer may be
	Upstream      UpstreamIssuer // built-in server: where people sign in; excludes Issuer
	Registration  bool           // built-in server: dynamic client registration
}

// Issuer is one more issuer whose access tokens are taken.
type Issuer struct {
	Issuer       string
	Audiences    []string
	ClientID     string
	ClientSecret SecretRef
}

// UpstreamIssuer is where the built-in server lets people sign in.
type UpstreamIssuer struct {
	Issuer       string // "" = not configured
	ClientID     string
	ClientSecret SecretRef
}

// Client is a pre-registered OAuth client: at the built-in server an MCP
// client, with an external issuer one that may use /me/v1.
type Client struct {
	ClientSecret SecretRef // zero = public client
	RedirectURIs []string
	Binding      string // "browser", or "app": the app vouches for its user
}

// Connection is a provider with the operator's client registration.
type Connection struct {
	Provider     string
	ClientID     string
	ClientSecret SecretRef
	ClientAuth   provider.ClientAuth // "" = the provider's own way
	Issuer       string              // oidc: discovery starts here
	Tenant       string              // microsoft: a tenant id or domain; "" = the provider's default
	Scopes       []string            // asked for when nothing else is
	APIHosts     []string            // where tokens may go: exact hosts or "*.suffix" (oidc, oauth2)
	Token        string              // slack: "user" or "bot"; "" = user
	Endpoints    provider.Endpoints  // overrides; "" = the provider's
	Accounts     Accounts            // which accounts may be connected
	Allow        Allow               // who may connect
}

// Accounts restricts which vendor accounts may be connected. Empty lists allow all.
type Accounts struct {
	Domains []string // e-mail or hosted domains
	Tenants []string // vendor tenants, workspaces or organizations
}

// Allow restricts who may connect: people whose identity claim holds any of
// the values. A zero Claim allows everybody.
type Allow struct {
	Claim string
	Any   []string
}

// Tools says which tools exist and which of them may write.
type Tools struct {
	Groups []string          // enabled groups
	Writes string            // "ask", "allow", "deny" or "client"
	Policy map[string]string // tool name → "ask", "allow" or "deny"
}

// Access says how long a permission lasts that a person gave to an agent.
type Access struct{ DefaultTTL time.Duration }

// Limits are counts per caller and agent; 0 = none.
type Limits struct {
	OpenTickets     int // at one time
	TicketsPerHour  int
	CallsPerMinute  int
	WritesPerMinute int
}

// Reap are the ages at which grants go by themselves; 0 = never.
type Reap struct {
	Revoked time.Duration // since it was revoked: its row goes
	Dead    time.Duration // since it died otherwise: its row goes
	Idle    time.Duration // since it was last used: it is revoked
}

// Audit says where the audit chain is anchored.
type Audit struct {
	Anchor string // absolute path or https URL that receives chain heads; "" = none
}

// Workload is a confidential client that may exchange tokens.
type Workload struct {
	ClientSecret SecretRef           // this, or JWKS
	JWKS         string              // https URL, or file: and an absolute path
	Connections  map[string][]string // connection → scope ceiling
	Audiences    []string            // of subject tokens, besides {public_url}/
	Addresses    []netip.Prefix      // where it may call from; empty = anywhere
	RedirectURIs []string            // set: it may sign people in at the built-in server
	Unattended   []string            // connections for work without a user present
	Proxy        map[string][]string // connection → "METHOD /path/*" patterns
	AllowWider   bool                // a token may be wider than the ceiling where the vendor cannot narrow
}
