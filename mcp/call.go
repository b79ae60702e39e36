package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"runtime/debug"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// maxRounds is how often one call goes on after a person has done something.
const maxRounds = 4

// call is one tools/call.
type call struct {
	entry  entry
	rule   string
	args   json.RawMessage
	digest []byte // of args
	peer   peer
	stdio  bool
	began  time.Time

	vault  Vault
	person vault.Person
	agent  vault.Agent
	source source

	account string         // that the arguments name, or of the approved call
	changes []vault.Change // that an update would make
	named   bool           // its approval came as an argument
	asked   string         // id of the approval that it waited for

	err      error  // of the last run
	reason   string // why it ended without one
	summary  string // of what it did
	stopped  string // by its person: "stopped", or "access_revoked"
	ended    bool
	lack     *vault.ConsentError // of the last run
	state    requestState        // zero without one
	accepted bool                // the person agreed, in the client, to open the link
}

// reply is what goes back: a result, or an error that mcp-go knows (-32042).
type reply struct {
	result *mcpgo.CallToolResult
	err    error
}

// handle serves tools/call for every tool. mcp-go puts an error's text on the
// wire, so the only one that it gets is the elicitation of the 2025 era.
func (s *Server) handle(ctx context.Context, req mcpgo.CallToolRequest) (res *mcpgo.CallToolResult, err error) {
	ref := s.reference()
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "tool panicked", "tool", req.Params.Name, "reference", ref, "stack", string(debug.Stack()))
			res, err = failed(wordsInternal(ref)), nil
		}
	}()
	began := s.cfg.Now()
	c, refusal := s.begin(ctx, req, ref)
	if refusal != nil {
		return refusal, nil
	}
	c.began = began
	defer func(ctx context.Context) { s.called(ctx, c) }(ctx)
	ctx, c.source.guard = c.vault.Guard(ctx, c.person.Caller, c.agent)
	defer c.source.end()
	r := s.serve(ctx, c, req.Params.MultiRoundTripParams)
	c.ended = true
	return r.result, r.err
}

// begin proves who calls what, or says why it cannot run.
func (s *Server) begin(ctx context.Context, req mcpgo.CallToolRequest, ref string) (*call, *mcpgo.CallToolResult) {
	e := s.entries[req.Params.Name] // mcp-go has refused unknown names
	o, ok := originOf(ctx)
	if !ok {
		return nil, failed(wordsInternal(ref))
	}
	c := &call{entry: e, rule: s.rule(e), args: rawArguments(req), peer: s.peerOf(ctx, o), stdio: o.stdio}
	if c.rule == ruleDeny {
		s.refused(ctx, c, o, "policy_"+c.rule)
		return nil, failed(wordsDenied(e.tool.Name))
	}
	var err error
	if c.digest, err = digestOf(c.args); err != nil {
		s.refused(ctx, c, o, "arguments")
		return nil, failed(wordsArguments)
	}
	if c.vault, err = s.vault.get(ctx); err != nil {
		s.log.ErrorContext(ctx, "opening vault", "error", err, "reference", ref)
		return nil, failed(wordsVault(err, ref))
	}
	if c.person, c.agent, err = s.identify(o, c.peer, c.vault); err != nil {
		return nil, failed(wordsInternal(ref))
	}
	if what, wait := s.limits.take(c.person.Caller, c.agent, e.writes()); what != "" {
		s.refused(ctx, c, o, what)
		if to, ok := sinkOf(ctx); ok {
			to.later(wait)
		}
		return nil, failed(wordsRate(what, wait))
	}
	c.source = source{vault: c.vault, person: c.person, agent: c.agent, tool: e.tool.Name, call: ref}
	return c, nil
}

// serve runs the tool, asks for what is lacking, and runs it again when a
// person has done it while the call waited.
func (s *Server) serve(ctx context.Context, c *call, given mcpgo.MultiRoundTripParams) reply {
	for _, read := range []func() (reply, bool){
		func() (reply, bool) { return s.approved(ctx, c) },
		func() (reply, bool) { return s.resume(ctx, c, given) },
	} {
		if r, over := read(); over {
			return r
		}
	}
	for range maxRounds {
		res, err := s.run(ctx, c)
		if c.err = err; err == nil {
			c.summary = res.Summary
			return reply{result: succeeded(res)}
		}
		if ctx.Err() != nil {
			return reply{result: s.failure(ctx, c, ctx.Err())}
		}
		lack := c.lacking(err)
		if lack == nil || !lack.Reason.Mendable() {
			return reply{result: s.failure(ctx, c, err)}
		}
		r, again := s.ask(ctx, c, lack)
		if !again {
			return r
		}
	}
	return reply{result: failed(wordsStillLacking(c.entry.tool.Name))}
}

// run runs the tool, if its person has said yes where they are asked.
func (s *Server) run(ctx context.Context, c *call) (*tools.Result, error) {
	if err := s.permitted(ctx, c); err != nil {
		return nil, err
	}
	if err := c.asSeen(ctx); err != nil {
		return nil, err
	}
	c.source.begin()
	return c.entry.run(ctx, c)
}

// resume reads what came with a retry. A state that is not of this call ends it
// without running the tool; one that is too old counts for nothing.
func (s *Server) resume(ctx context.Context, c *call, given mcpgo.MultiRoundTripParams) (reply, bool) {
	if given.RequestState == "" {
		return reply{}, false
	}
	st, err := s.openState(c, given.RequestState)
	if errors.Is(err, errStateExpired) {
		return reply{}, false
	}
	if err != nil {
		s.log.WarnContext(ctx, "request state refused", "tool", c.entry.tool.Name, "caller", c.vault.Pseudonym(c.person.Caller))
		s.note(ctx, vault.Entry{Kind: "request_state.refused", Caller: c.person.Caller, Agent: c.agent, Tool: c.entry.tool.Name})
		c.reason = "request_state"
		return reply{result: failed(wordsForeignState(c.entry.tool.Name))}, true
	}
	c.state = st
	answer := server.ElicitationResponse(given.InputResponses, elicitationKey)
	if answer == nil {
		return reply{}, false
	}
	if st.Form != "" {
		return s.answered(ctx, c, answer.ElicitationResponse)
	}
	switch answer.Action {
	case mcpgo.ElicitationResponseActionAccept:
		c.accepted = true
	case mcpgo.ElicitationResponseActionDecline:
		c.reason = "declined"
		return s.declined(ctx, c, false), true
	case mcpgo.ElicitationResponseActionCancel:
		c.reason = "closed"
		return s.declined(ctx, c, true), true
	}
	return reply{}, false
}

// lacking is err as something that a ticket may mend, nil when it is none.
func (c *call) lacking(err error) *vault.ConsentError {
	if _, ran := errors.AsType[*vault.RanError](err); ran {
		return nil
	}
	if e, ok := errors.AsType[*vault.ConsentError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*provider.ScopeError](err); ok {
		return c.source.underScoped(e)
	}
	return nil
}

// rawArguments are the arguments as the client wrote them.
func rawArguments(req mcpgo.CallToolRequest) json.RawMessage {
	if raw := req.Params.RawArguments; len(raw) > 0 && string(raw) != "null" {
		return raw
	}
	return json.RawMessage("{}")
}

// reference is a random name for one call, for its exchanges, the log and the person.
func (s *Server) reference() string {
	raw := make([]byte, 9)
	if _, err := io.ReadFull(s.cfg.Rand, raw); err != nil {
		return "unknown"
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func succeeded(r *tools.Result) *mcpgo.CallToolResult {
	return &mcpgo.CallToolResult{
		Content:              []mcpgo.Content{mcpgo.NewTextContent(r.Text)},
		RawStructuredContent: r.Structured,
	}
}

func failed(text string) *mcpgo.CallToolResult {
	return &mcpgo.CallToolResult{Content: []mcpgo.Content{mcpgo.NewTextContent(text)}, IsError: true}
}
