package mcp

import (
	"context"
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

// entry is a tool as this package runs it: a vendor's, or one of our own.
type entry struct {
	tool  mcpgo.Tool
	kind  tools.Kind
	needs []provider.Need // nil for our own
	// vendor is nil for a tool about Grantry itself: no policy of writes applies to it.
	vendor *tools.Tool
	hash   func() string // of all that a client is told of it
	// requires are the capabilities without which a modern client cannot call it. No
	// tool of the product has any: where something is lacking, each has an answer that
	// every client can show.
	requires []string
	run      func(ctx context.Context, c *call) (*tools.Result, error)
}

// catalog is all tools, vendor tools first, in the order of the config.
func (s *Server) catalog() []entry {
	var out []entry
	for _, t := range s.cfg.Tools {
		out = append(out, entry{
			tool: describe(t.Name, t.Title, t.Description, t.Input, t.Output, t.Kind.Annotations()),
			kind: t.Kind, needs: t.Needs(), vendor: &t,
			run: func(ctx context.Context, c *call) (*tools.Result, error) {
				return t.Call(ctx, &c.source, c.args)
			},
		})
	}
	return append(out, s.ownTools()...)
}

// writes says whether the tool changes something at a vendor.
func (e entry) writes() bool { return e.vendor != nil && e.kind != tools.Read }

// hidden says whether the operator has switched the tool off.
func (s *Server) hidden(e entry) bool { return s.rule(e) == ruleDeny }

// describe sets all four annotations: mcp-go's defaults call a reader destructive.
func describe(name, title, description string, in, out json.RawMessage, a tools.Annotations) mcpgo.Tool {
	return mcpgo.Tool{
		Name: name, Title: title, Description: description,
		RawInputSchema: in, RawOutputSchema: out,
		Annotations: mcpgo.ToolAnnotation{
			Title: title, ReadOnlyHint: &a.ReadOnly, DestructiveHint: &a.Destructive,
			IdempotentHint: &a.Idempotent, OpenWorldHint: &a.OpenWorld,
		},
	}
}

// capabilityError says what a client would have to declare. mcp-go's handlers cannot answer with it.
type capabilityError struct {
	required map[string]struct{} // a ClientCapabilities object (2026-07-28, basic "Error Codes")
}

func (e *capabilityError) Error() string {
	return "the client does not declare a capability that this tool cannot do without"
}

// demands refuses a modern call whose client lacks what the tool requires.
func (e entry) demands(m message) error {
	if len(e.requires) == 0 || !m.modern() {
		return nil
	}
	var declared map[string]json.RawMessage
	_ = json.Unmarshal(m.capabilities, &declared)
	lacks := map[string]struct{}{}
	for _, name := range e.requires {
		if _, ok := declared[name]; !ok {
			lacks[name] = struct{}{}
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return &capabilityError{required: lacks}
}
