package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

// sessionResolver gives mcp-go the 2025-era sessions of the caller of a
// request. mcp-go's own ids are anybody's who knows them.
type sessionResolver struct{ s *Server }

// ResolveSessionIdManager implements server.SessionIdManagerResolver; r is nil when mcp-go sweeps.
func (x sessionResolver) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	m := sessionManager{clients: x.s.clients}
	if r != nil {
		o, _ := originOf(r.Context())
		m.owner, m.proved = o.owner(), true
	}
	return m
}

type sessionManager struct {
	clients *clients
	owner   pair
	proved  bool // false: mcp-go itself, not a request
}

var errNoSession = errors.New("no such session")

// Generate implements server.SessionIdManager.
func (m sessionManager) Generate() string { return m.clients.begin(m.owner) }

// Validate implements server.SessionIdManager.
func (m sessionManager) Validate(id string) (isTerminated bool, err error) {
	if _, ok := m.clients.of(id, m.owner); !ok {
		return false, errNoSession
	}
	return false, nil
}

// Terminate implements server.SessionIdManager.
func (m sessionManager) Terminate(id string) (isNotAllowed bool, err error) {
	if m.proved {
		if _, ok := m.clients.of(id, m.owner); !ok {
			return false, errNoSession
		}
	}
	m.clients.end(id)
	return false, nil
}

// inSession asks 2025-era requests for a session of their own caller and agent,
// on every method: mcp-go looks at it for POST only. Another's is like none.
func (s *Server) inSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		if modernHeader(r) || m.modern() || m.Method == string(mcpgo.MethodInitialize) {
			next.ServeHTTP(w, r)
			return
		}
		id := r.Header.Get(server.HeaderKeySessionID)
		if id == "" {
			http.Error(w, "Mcp-Session-Id is missing: send initialize first", http.StatusBadRequest)
			return
		}
		o, _ := originOf(r.Context())
		if _, ok := s.clients.of(id, o.owner()); !ok {
			s.note(r.Context(), vault.Entry{Kind: "request.refused", Caller: o.person.Caller, Agent: o.agent, Reason: "session"})
			http.Error(w, "no such session: send initialize again", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lifetime ends streams that live as long as their client when the server
// stops, and writes the final result of a listen request, which mcp-go drops once its context is over.
func (s *Server) lifetime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		listen := m.Method == string(mcpgo.MethodSubscriptionsListen)
		if !listen && r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
		if listen && m.ID != nil && s.stopping.Err() != nil && r.Context().Err() == nil {
			writeFinal(w, m.ID)
		}
	})
}

// writeFinal ends a subscriptions/listen stream as the server's own end of it
// (2026-07-28, patterns/subscriptions).
func writeFinal(w http.ResponseWriter, id json.RawMessage) {
	_, _ = fmt.Fprintf(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"resultType\":\"complete\",\"_meta\":{%q:%s}}}\n\n",
		id, mcpgo.MetaKeySubscriptionID, id)
}
