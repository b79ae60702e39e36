package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Config says where a sandbox stands and what it works with. BaseURL and PublicURL are required.
type Config struct {
	// BaseURL is the address at which Handler is served: scheme and host, without a trailing slash.
	BaseURL string
	// PublicURL is Grantry's own address, without a trailing slash. The redirect addresses that the
	// fakes know are PublicURL/callback/{google,slack,salesforce} and PublicURL/signin/callback, and
	// the MCP resource is PublicURL/mcp.
	PublicURL string
	// StateFile is where grants, tokens, keys and registrations survive a restart (mode 0600). Every
	// change is in the file before it is answered. Empty keeps the state in memory.
	StateFile string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand gives the randomness of tokens and codes; nil is crypto/rand.
	Rand io.Reader
	// Logger gets one line for each fault that fired and each write that went wrong; nil discards.
	Logger *slog.Logger
	// ControlSecret is the bearer token of the control API; empty makes a random one.
	ControlSecret string
}

// Sandbox is the fake vendors and the issuer as one value. It is safe for use by many goroutines.
type Sandbox struct {
	cfg     Config
	control string
	handler http.Handler
	pages   *template.Template
	large   func() []byte

	randMu sync.Mutex

	mu    sync.Mutex
	state *state
	seen  map[string]map[string]int
}

// New checks the configuration, reads the state file if there is one, and makes the signing key. It
// starts nothing: serving Handler is the caller's.
func New(cfg Config) (*Sandbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.fill()
	st, err := loadState(cfg.StateFile)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Sandbox{
		cfg: cfg, control: cfg.ControlSecret, state: st, pages: pages,
		large: sync.OnceValue(transcript),
		seen:  map[string]map[string]int{},
	}
	if s.control == "" {
		s.control = s.random()
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// Handler serves the vendors, the issuer and the control API; mount it at the root of BaseURL.
func (s *Sandbox) Handler() http.Handler { return s.handler }

// ControlSecret is the bearer token of the control API.
func (s *Sandbox) ControlSecret() string { return s.control }

// Close writes the state a last time. The handler may be used on; there is nothing to stop.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.save(s.cfg.StateFile)
}

func (c *Config) check() error {
	return errors.Join(bareURL("BaseURL", c.BaseURL), bareURL("PublicURL", c.PublicURL))
}

func bareURL(field, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("sandbox: %s must be scheme and host alone, like http://127.0.0.1:8788, not %q", field, raw)
	}
	return nil
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
}

// prepare makes what a first start needs: the root of the client secrets and the issuer's key. Of several
// processes that start at once one makes them, and the others read them; a file that exists is not written,
// since its sandbox may be running elsewhere.
func (s *Sandbox) prepare() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.state.Root) == 0 {
		s.state.Root = s.bytes(32)
		if s.state.IssuerKey, err = newES256(); err != nil {
			return fmt.Errorf("making the issuer's key: %w", err)
		}
		err = s.state.create(s.cfg.StateFile)
		if errors.Is(err, fs.ErrExist) {
			s.state, err = loadState(s.cfg.StateFile)
		}
	}
	s.state.prune(s.cfg.Now())
	return err
}

func (s *Sandbox) bytes(n int) []byte {
	s.randMu.Lock()
	defer s.randMu.Unlock()
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		rand.Read(b) // crypto/rand never fails; a given source that does must not give a guessable token
	}
	return b
}

// random is a fresh token body: 256 bits, base64url.
func (s *Sandbox) random() string { return base64.RawURLEncoding.EncodeToString(s.bytes(32)) }
