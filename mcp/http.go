package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

const (
	sessionIdle = 15 * time.Minute // then mcp-go forgets what it holds of a session, which goes on
	heartbeat   = 30 * time.Second // on the listening stream of the 2025 era
)

// Handler is the /mcp endpoint: streamable HTTP, both eras. The order of the
// chain matters: nothing is read before the size is bounded, nothing runs
// before the origin and the bearer are proved, and mcp-go comes last.
// Checking the Host is the app's, for all its paths.
func (s *Server) Handler() http.Handler { return s.chain(s.bearer) }

// chain is the endpoint; proved is how callers are proved.
func (s *Server) chain(proved func(http.Handler) http.Handler) http.Handler {
	s.background(func() { _, _ = s.vault.get(s.stopping) }) // what is offered is audited at the start; a failure shows at the first call
	h := s.lifetime(s.streamable())
	h = s.known(h)
	h = s.inSession(h)
	h = s.scoped(h)
	h = s.parsed(h)
	h = methods(h)
	h = proved(h)
	h = s.origin(h)
	h = http.MaxBytesHandler(h, maxBody)
	return streamed(s.recovered(headers(h)))
}

// streamable is mcp-go's transport. It has a goroutine that sweeps sessions, until Shutdown.
func (s *Server) streamable() http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return s.http
	}
	s.http = server.NewStreamableHTTPServer(s.mcp,
		server.WithSessionIdManagerResolver(sessionResolver{s}),
		server.WithSessionIdleTTL(sessionIdle),
		server.WithHeartbeatInterval(heartbeat),
		// mcp-go's own check refuses the public Host behind a proxy on this machine.
		server.WithDisableLocalhostProtection(!loopbackURL(s.cfg.PublicURL)),
		server.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler)), // it would log panic values and session ids
	)
	return s.http
}

// recovered keeps a panic and its value from the client and from the log.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.ErrorContext(r.Context(), "request panicked", "stack", string(debug.Stack()))
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Accel-Buffering", "no") // a proxy must not hold streams back
		next.ServeHTTP(w, r)
	})
}

// origin refuses pages of other origins, for every method: a GET opens a stream
// (DNS rebinding, MCP transports "Security Warning"). Requests without Origin
// are no browser's. Listed origins get the answers that CORS asks for.
func (s *Server) origin(next http.Handler) http.Handler {
	allowed := allowedOrigins(s.cfg.PublicURL, s.cfg.AllowedOrigins)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origins := r.Header.Values("Origin")
		if len(origins) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(origins) != 1 || !slices.Contains(allowed, strings.ToLower(origins[0])) {
			s.note(r.Context(), vault.Entry{Kind: "request.refused", Reason: "origin"})
			http.Error(w, "This origin may not use Grantry. The operator can list it under allowed_origins.", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Retry-After, WWW-Authenticate")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID")
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedOrigins are public's own, its loopback names on the same port when it
// is loopback, and those of the config; lower case.
func allowedOrigins(public string, more []string) []string {
	var out []string
	u, err := url.Parse(public)
	if err == nil && u.Host != "" {
		out = append(out, u.Scheme+"://"+u.Host)
		if loopbackURL(public) {
			for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
				if u.Port() != "" {
					host += ":" + u.Port()
				}
				out = append(out, u.Scheme+"://"+host)
			}
		}
	}
	out = append(out, more...)
	for i := range out {
		out[i] = strings.ToLower(strings.TrimSuffix(out[i], "/"))
	}
	return out
}

func loopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if strings.EqualFold(u.Hostname(), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// methods refuses what streamable HTTP does not use.
func methods(next http.Handler) http.Handler {
	allowed := []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// known answers requests for what there is not. One whose headers do not say
// what its body does is left to mcp-go, which refuses it for that.
func (s *Server) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		modern := m.modern() || modernHeader(r)
		if modern && m.Name != r.Header.Get(mcpgo.HeaderName) {
			next.ServeHTTP(w, r)
			return
		}
		if err := s.refusal(m); err != nil && m.ID != nil {
			status := http.StatusOK
			if modern {
				status = http.StatusBadRequest
			}
			rpcError(w, status, m.ID, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type messageKey struct{}

func messageOf(ctx context.Context) message {
	m, _ := ctx.Value(messageKey{}).(message)
	return m
}

// parsed reads the body once, strictly, and leaves what it is for those that follow.
func (s *Server) parsed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
			return
		}
		body, err := io.ReadAll(r.Body)
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			rpcError(w, http.StatusRequestEntityTooLarge, nil, fmt.Errorf("the message is larger than %d bytes", maxBody))
			return
		}
		if err != nil {
			rpcError(w, http.StatusBadRequest, nil, errCut)
			return
		}
		m, err := parse(body)
		if err != nil {
			rpcError(w, http.StatusBadRequest, m.ID, err)
			return
		}
		// mcp-go keys cancellation by session and id, and modern requests have no session: one user could cancel another's call. Closing the stream cancels.
		if m.Method == string(mcpgo.MethodNotificationCancelled) && (m.modern() || modernHeader(r)) {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), messageKey{}, m))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func modernHeader(r *http.Request) bool {
	return mcpgo.IsModernProtocol(r.Header.Get(mcpgo.HeaderProtocolVersion))
}

// codeOf is the JSON-RPC code for an error of parse or of refusal.
func codeOf(err error) int {
	if errors.Is(err, errSyntax) || errors.Is(err, errCut) {
		return mcpgo.PARSE_ERROR
	}
	if _, ok := errors.AsType[*paramsError](err); ok {
		return mcpgo.INVALID_PARAMS
	}
	if _, ok := errors.AsType[*capabilityError](err); ok {
		return mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY
	}
	return mcpgo.INVALID_REQUEST
}

// dataOf is what an error tells a program, nil for nothing.
func dataOf(err error) any {
	if e, ok := errors.AsType[*capabilityError](err); ok {
		return map[string]any{"requiredCapabilities": e.required}
	}
	return nil
}

func rpcError(w http.ResponseWriter, status int, id json.RawMessage, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorMessage(id, codeOf(err), err.Error(), dataOf(err)))
}

// errorMessage is a JSON-RPC error; a nil id is written as null.
func errorMessage(id json.RawMessage, code int, text string, data any) mcpgo.JSONRPCError {
	return mcpgo.JSONRPCError{
		JSONRPC: mcpgo.JSONRPC_VERSION, ID: requestID(id),
		Error: mcpgo.NewJSONRPCErrorDetails(code, text, data),
	}
}

func requestID(raw json.RawMessage) mcpgo.RequestId {
	if raw == nil {
		return mcpgo.NewRequestId(nil)
	}
	return mcpgo.NewRequestId(raw)
}
