package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// heard is what a vendor answered in one call.
type heard struct {
	mu     sync.Mutex
	host   string
	status int
	bytes  int64
	sent   bool // something of the tool's own has left
}

// Sending implements tools.Observer.
func (s *source) Sending() {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	s.heard.sent = true
}

// Answered implements tools.Observer.
func (s *source) Answered(host string, status int) {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	s.heard.host, s.heard.status = host, status
}

// Received implements tools.Observer.
func (s *source) Received(n int) {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	s.heard.bytes += int64(n)
}

// hashOf is a hash of all that a client is told of a tool, "" for one that
// cannot be encoded: no client is told of it either.
func hashOf(t mcpgo.Tool) string {
	raw, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// offer has the vault compare what is offered with what was offered before (R83).
func (s *Server) offer(ctx context.Context, v Vault) {
	hashes := map[string]string{}
	for _, name := range s.ToolNames() {
		hashes[name] = s.entries[name].hash()
	}
	if err := v.ToolsOffered(context.WithoutCancel(ctx), hashes); err != nil {
		s.log.ErrorContext(ctx, "auditing what is offered", "error", err)
	}
}

// note writes down something that was refused and that others can cause at will.
func (s *Server) note(ctx context.Context, e vault.Entry) {
	e.Result = "refused"
	v, err := s.vault.get(ctx)
	if err == nil {
		err = v.Note(context.WithoutCancel(ctx), e)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "writing audit", "error", err)
	}
}

// unproved notes a request without a good token.
func (s *Server) unproved(r *http.Request, why string) {
	s.note(r.Context(), vault.Entry{Kind: "auth.refused", Reason: why})
}

// refused notes a call that did not run: for a rule, its arguments or a limit.
func (s *Server) refused(ctx context.Context, c *call, o origin, why string) {
	v, err := s.vault.get(ctx)
	if err != nil {
		return // nothing was done, and there is nowhere to say so
	}
	if c.person.IsZero() {
		if c.person, c.agent, err = s.identify(o, c.peer, v); err != nil {
			return
		}
	}
	s.note(ctx, vault.Entry{Kind: "tool.refused", Caller: c.person.Caller, Agent: c.agent, Tool: c.entry.tool.Name, Reason: why})
}

// called writes down how a call ended. One that got no token and failed is
// counted rather than written each time: an agent may repeat it for ever.
func (s *Server) called(ctx context.Context, c *call) {
	e := vault.Entry{
		Kind: "tool.called", Caller: c.person.Caller, Agent: c.agent, Tool: c.entry.tool.Name, Summary: c.summary,
		Detail: vault.Detail{
			Call: c.source.call, Hash: c.entry.hash(), Decision: c.rule, Approval: c.source.approval,
			Arguments: c.argumentsMAC(), ArgumentBytes: len(c.args), Millis: s.cfg.Now().Sub(c.began).Milliseconds(),
		},
	}
	if e.Result, e.Reason = c.outcome(ctx); e.Result == resultStopped {
		e.Detail.Sent = c.source.sent()
	}
	write := c.vault.Audit
	if b := c.source.used(&e.Detail); b != nil {
		e.Account = b.Grant
		if b.Connection != nil {
			e.Connection = b.Connection.Name()
		}
	} else if e.Result != "ok" {
		write = c.vault.Note
	}
	if err := write(context.WithoutCancel(ctx), e); err != nil {
		s.log.ErrorContext(ctx, "writing audit", "error", err, "reference", c.source.call)
	}
}

// argumentsMAC tells whether two calls of one person had the same arguments, to who has the vault's key, and nobody anything else.
func (c *call) argumentsMAC() string {
	msg := append([]byte(c.vault.Pseudonym(c.person.Caller)+"\x00"), c.digest...)
	return hex.EncodeToString(c.vault.MAC("mcp/arguments/v1", msg)[:16])
}

// used is the bearer that the call got last, nil for none, and fills in what the vendor answered.
func (s *source) used(d *vault.Detail) *provider.Bearer {
	s.heard.mu.Lock()
	d.Host, d.Bytes = s.heard.host, s.heard.bytes
	if s.heard.status > 0 {
		d.Status = fmt.Sprintf("%dxx", s.heard.status/100)
	}
	s.heard.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// resultStopped is of a call that its person ended.
const resultStopped = "stopped"

func (s *source) sent() bool {
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	return s.heard.sent
}

// outcome is how a call ended, in our codes.
func (c *call) outcome(ctx context.Context) (result, reason string) {
	switch {
	case !c.ended:
		return "failed", "panic"
	case c.stopped != "":
		return resultStopped, c.stopped
	case c.err == nil && c.reason == "":
		return "ok", ""
	case c.reason != "":
		return "refused", c.reason
	}
	if lack := c.lacking(c.err); lack != nil {
		return "refused", string(lack.Reason)
	}
	if _, ok := errors.AsType[*vault.RanError](c.err); ok {
		return "refused", "already_ran"
	}
	if errors.Is(c.err, errChanged) {
		return "refused", "changed"
	}
	if _, ok := errors.AsType[*tools.InputError](c.err); ok {
		return "refused", "arguments"
	}
	if _, ok := errors.AsType[*tools.APIError](c.err); ok {
		return "failed", "vendor"
	}
	if ctx.Err() != nil {
		return "failed", "cancelled"
	}
	return "failed", "internal"
}
