package mcp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

const (
	sessionPurpose = "mcp/session/v1"
	sessionLife    = 7 * 24 * time.Hour // then the client initializes again
)

// session is what the id of a 2025-era session holds, sealed by the vault: every
// replica reads it, and a restart ends none. It proves nothing: it is good with
// the bearer of the caller and agent who began it, and with no other.
type session struct {
	Owner   []byte `json:"o"` // hash of caller and agent
	Version string `json:"v"` // negotiated
	URL     bool   `json:"u,omitempty"`
	Form    bool   `json:"f,omitempty"`
	Name    string `json:"n,omitempty"`
	Expires int64  `json:"e"` // seconds since 1970
}

var errNoSession = errors.New("no such session")

// beginSession is the id of a new session, for what a client says in its initialize.
func (s *Server) beginSession(ctx context.Context, owner pair, params json.RawMessage) (string, error) {
	v, err := s.vault.get(ctx)
	if err != nil {
		return "", fmt.Errorf("opening vault: %w", err)
	}
	var p struct {
		Version      string                   `json:"protocolVersion"`
		Capabilities mcpgo.ClientCapabilities `json:"capabilities"`
		Info         mcpgo.Implementation     `json:"clientInfo"`
	}
	_ = json.Unmarshal(params, &p) // mcp-go refuses what cannot be read
	raw, err := json.Marshal(session{
		Owner: owner.hash(), Version: mcpgo.NegotiateLegacyVersion(p.Version),
		URL: declaresURL(&p.Capabilities), Form: declaresForm(&p.Capabilities),
		Name: displayName(p.Info), Expires: s.cfg.Now().Add(sessionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("writing session: %w", err)
	}
	return v.SealState(sessionPurpose, raw)
}

// session opens the id of a session of owner: errNoSession for another's, one
// that was ended or is too old, and one that never was.
func (s *Server) session(ctx context.Context, id string, owner pair) (client, error) {
	v, err := s.vault.get(ctx)
	if err != nil {
		return client{}, fmt.Errorf("opening vault: %w", err)
	}
	raw, err := v.OpenState(sessionPurpose, id)
	if err != nil {
		return client{}, errNoSession
	}
	var x session
	if err := json.Unmarshal(raw, &x); err != nil || subtle.ConstantTimeCompare(x.Owner, owner.hash()) != 1 {
		return client{}, errNoSession
	}
	if s.cfg.Now().Unix() >= x.Expires || s.ended.has(ctx, owner, id) {
		return client{}, errNoSession
	}
	return client{id: id, version: x.Version, url: x.URL, form: x.Form, name: x.Name}, nil
}

// hash tells pairs apart without saying who they are.
func (p pair) hash() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", p.caller.Issuer, p.caller.Subject, p.issuer, p.agent))
	return sum[:16]
}

// sessionResolver gives mcp-go the 2025-era sessions of the caller of a
// request. mcp-go's own ids are anybody's who knows them, and this process's alone.
type sessionResolver struct{ s *Server }

// ResolveSessionIdManager implements server.SessionIdManagerResolver; r is nil when mcp-go sweeps.
func (x sessionResolver) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	m := sessionManager{s: x.s}
	if r != nil {
		m.ctx = r.Context()
	}
	return m
}

type sessionManager struct {
	s   *Server
	ctx context.Context // of the request; nil: mcp-go itself, which forgets what it holds and ends nothing
}

// Generate implements server.SessionIdManager. Without an id mcp-go holds nothing
// of a session that begins, and there is nothing to hold, unless requests go to clients.
func (m sessionManager) Generate() string {
	if m.ctx == nil || !m.s.asksClients {
		return ""
	}
	o, _ := originOf(m.ctx)
	return o.client.id
}

// Validate implements server.SessionIdManager; inSession has looked already.
func (m sessionManager) Validate(id string) (isTerminated bool, err error) {
	if m.ctx == nil {
		return false, nil
	}
	if o, _ := originOf(m.ctx); o.client.id != id || id == "" {
		return false, errNoSession
	}
	return false, nil
}

// Terminate implements server.SessionIdManager.
func (m sessionManager) Terminate(id string) (isNotAllowed bool, err error) {
	if m.ctx == nil {
		return false, nil
	}
	if _, err := m.Validate(id); err != nil {
		return false, err
	}
	o, _ := originOf(m.ctx)
	return false, m.s.ended.add(m.ctx, o.owner(), id)
}

// inSession begins 2025-era sessions, and asks all other requests of that era for
// one of their own caller and agent, on every method: mcp-go looks at it for POST only. Another's is like none.
func (s *Server) inSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		if modernHeader(r) || m.modern() {
			next.ServeHTTP(w, r)
			return
		}
		o, _ := originOf(r.Context())
		id := r.Header.Get(server.HeaderKeySessionID)
		var err error
		switch {
		case m.Method == string(mcpgo.MethodInitialize):
			if id, err = s.beginSession(r.Context(), o.owner(), m.params); err == nil {
				o.client.id = id
				w.Header().Set(server.HeaderKeySessionID, id)
			}
		case id == "":
			http.Error(w, "Mcp-Session-Id is missing: send initialize first", http.StatusBadRequest)
			return
		default:
			o.client, err = s.session(r.Context(), id, o.owner())
		}
		if errors.Is(err, errNoSession) {
			s.note(r.Context(), vault.Entry{Kind: "request.refused", Caller: o.person.Caller, Agent: o.agent, Reason: "session"})
			http.Error(w, "no such session: send initialize again", http.StatusNotFound)
			return
		}
		if err != nil {
			s.log.ErrorContext(r.Context(), "opening session", "error", err)
			http.Error(w, "Grantry cannot open its vault. Try again later.", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r.WithContext(withOrigin(r.Context(), o)))
	})
}
