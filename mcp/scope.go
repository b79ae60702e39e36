package mcp

import (
	"context"
	"net/http"
	"slices"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
)

// The scopes of our own access tokens. tools:write covers tools:read.
const (
	ScopeRead   = "tools:read"         // list tools, and call those that read
	ScopeWrite  = "tools:write"        // call those that write, too
	ScopeManage = "connections:manage" // ask for connections before a tool needs them
)

// OwnScopes are all of them.
func OwnScopes() []string { return []string{ScopeRead, ScopeWrite, ScopeManage} }

// covers says whether one of the scopes granted is, or covers, the one needed.
func covers(granted []string, need string) bool {
	return slices.Contains(granted, need) || need == ScopeRead && slices.Contains(granted, ScopeWrite)
}

// scope is what a token must carry to call the tool.
func (e entry) scope() string {
	switch {
	case e.vendor == nil && e.kind != tools.Read:
		return ScopeManage
	case e.kind == tools.Read:
		return ScopeRead
	}
	return ScopeWrite
}

// needs is the scope that a message needs, "" for none.
func (s *Server) needs(m message) string {
	switch mcpgo.MCPMethod(m.Method) {
	case mcpgo.MethodToolsCall:
		if e, ok := s.entries[m.Name]; ok {
			return e.scope()
		}
	case mcpgo.MethodToolsList:
		return ScopeRead
	}
	return ""
}

// scoped refuses a message whose bearer may not do what it asks for. The answer
// names all that the bearer should then carry: clients ask for just that, and
// would lose what they had (R36).
func (s *Server) scoped(next http.Handler) http.Handler {
	if !s.cfg.RequireScopes {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := messageOf(r.Context())
		o, _ := originOf(r.Context())
		need := s.needs(m)
		if need == "" || covers(o.scopes, need) || m.Method == string(mcpgo.MethodToolsList) && own(o.scopes) != nil {
			next.ServeHTTP(w, r)
			return
		}
		s.note(r.Context(), vault.Entry{Kind: "tool.refused", Caller: o.person.Caller, Agent: o.agent, Tool: m.Name, Reason: "scope"})
		all := own(append(slices.Clone(o.scopes), need))
		s.challenge(w, http.StatusForbidden, "insufficient_scope", "The access token does not allow this call.", all)
	})
}

// own are those of scopes that are ours, in our order, nil for none.
func own(scopes []string) (out []string) {
	for _, x := range OwnScopes() {
		if slices.Contains(scopes, x) {
			out = append(out, x)
		}
	}
	return out
}

// filter leaves out of a list what the caller's token does not allow and what the
// config switches off. A call by name still says why it cannot run.
func (s *Server) filter(ctx context.Context, _ any, _ *mcpgo.ListToolsRequest, res *mcpgo.ListToolsResult) {
	o, _ := originOf(ctx)
	res.Tools = slices.DeleteFunc(slices.Clone(res.Tools), func(t mcpgo.Tool) bool {
		e, ok := s.entries[t.Name]
		return ok && (s.rule(e) == ruleDeny || s.cfg.RequireScopes && !o.stdio && !covers(o.scopes, e.scope()))
	})
}

// scopesOf reads the scopes of a token: RFC 9068's scope, or what Entra and Okta call scp.
func scopesOf(c claims) []string {
	if list := strings.Fields(claimAt(c.all, "scope")); len(list) > 0 {
		return list
	}
	if list := strings.Fields(claimAt(c.all, "scp")); len(list) > 0 {
		return list
	}
	var list audience // a string, or a list of them
	if raw, ok := c.all["scp"]; ok && list.UnmarshalJSON(raw) == nil {
		return list
	}
	return nil
}
