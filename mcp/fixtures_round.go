//go:build conformance

package mcp

import (
	"context"
	"errors"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const fixturePurpose = "mcp/conformance/v1"

// errFixtureState is what a state gets that was not given, or that was altered.
var errFixtureState = errors.New("the requestState is not one that was given")

// question is one thing that a fixture asks a modern client for.
type question struct {
	key    string
	method mcpgo.MCPMethod
	put    func(*server.InputRequestBuilder) *server.InputRequestBuilder
}

func form(key, message string, schema map[string]any) question {
	return question{key, mcpgo.MethodElicitationCreate, func(b *server.InputRequestBuilder) *server.InputRequestBuilder {
		return b.Elicit(key, mcpgo.ElicitationParams{Message: message, RequestedSchema: schema})
	}}
}

func sampled(key, prompt string, tokens int) question {
	return question{key, mcpgo.MethodSamplingCreateMessage, func(b *server.InputRequestBuilder) *server.InputRequestBuilder {
		return b.Sample(key, sample(prompt, tokens))
	}}
}

func roots(key string) question {
	return question{key, mcpgo.MethodListRoots, func(b *server.InputRequestBuilder) *server.InputRequestBuilder { return b.Roots(key) }}
}

// answered says whether the client has answered the question.
func (q question) answered(given mcpgo.InputResponses) bool {
	answer, ok := server.InputResponse(given, q.key)
	if !ok || answer.DecodeFor(q.method) != nil {
		return false
	}
	return q.method != mcpgo.MethodElicitationCreate || answer.Elicitation.Action == mcpgo.ElicitationResponseActionAccept
}

// roundTools need answers of a modern client before they are done.
func (s *Server) roundTools() {
	name := object(map[string]any{"name": typed("string")}, "name")
	confirm := form("confirm", "Please confirm", object(map[string]any{"ok": typed("boolean")}, "ok"))
	who := form("user_name", "What is your name?", name)
	capital := sampled("capital_question", "What is the capital of France?", 100)
	const prefix = "test_input_required_result_"
	s.fixture(prefix+"elicitation", "Asks for a name.", s.rounds(false, who))
	s.fixture(prefix+"sampling", "Asks the client's model.", s.rounds(false, capital))
	s.fixture(prefix+"list_roots", "Asks for roots.", s.rounds(false, roots("client_roots")))
	s.fixture(prefix+"request_state", "Asks, with a state.", s.rounds(true, confirm))
	s.fixture(prefix+"tampered_state", "Asks, with a state.", s.rounds(true, confirm))
	s.fixture(prefix+"multiple_inputs", "Asks for three things.",
		s.rounds(true, who, sampled("greeting", "Generate a greeting", 50), roots("client_roots")))
	s.fixture(prefix+"multi_round", "Asks twice.", s.twice(
		form("step1", "Step 1: What is your name?", name),
		form("step2", "Step 2: What is your favorite color?", object(map[string]any{"color": typed("string")}, "color"))))
	s.fixture(prefix+"capabilities", "Asks for what the client has declared.", s.declared(who, capital))
	s.fixture("test_streaming_elicitation", "Asks for a name.", s.rounds(false, who))
	s.fixture("test_missing_capability", "Needs the client's model.", says(mcpgo.NewTextContent("done")))
	e := s.entries["test_missing_capability"]
	e.requires = []string{"sampling"}
	s.entries[e.tool.Name] = e
}

// rounds is a handler that asks all questions at once.
func (s *Server) rounds(stateful bool, all ...question) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		if given := r.Params.RequestState; stateful && given != "" && s.openStep(ctx, given) == "" {
			return nil, errFixtureState
		}
		for _, q := range all {
			if !q.answered(r.Params.InputResponses) {
				return s.question(ctx, stateful, "1", all...).ToolResult(), nil
			}
		}
		return mcpgo.NewToolResultText("state-ok"), nil
	}
}

// twice is a handler that asks one question after the other.
func (s *Server) twice(first, second question) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		step := ""
		if given := r.Params.RequestState; given != "" {
			if step = s.openStep(ctx, given); step == "" {
				return nil, errFixtureState
			}
		}
		switch {
		case step == "1" && first.answered(r.Params.InputResponses):
			return s.question(ctx, true, "2", second).ToolResult(), nil
		case step == "2" && second.answered(r.Params.InputResponses):
			return mcpgo.NewToolResultText("done"), nil
		}
		return s.question(ctx, true, "1", first).ToolResult(), nil
	}
}

// declared is a handler that asks only what the client says that it can answer.
func (s *Server) declared(who, capital question) server.ToolHandlerFunc {
	return func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		can := server.RequestProtocolInfoFromContext(ctx).ClientCapabilities
		var ask []question
		if can != nil && can.Elicitation != nil {
			ask = append(ask, who)
		}
		if can != nil && can.Sampling != nil {
			ask = append(ask, capital)
		}
		return s.rounds(false, ask...)(ctx, r)
	}
}

func (s *Server) openStep(ctx context.Context, state string) string {
	v, err := s.vault.get(ctx)
	if err != nil {
		return ""
	}
	raw, err := v.OpenState(fixturePurpose, state)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (s *Server) question(ctx context.Context, stateful bool, step string, all ...question) *server.InputRequestBuilder {
	b := server.NewInputRequestBuilder("")
	if v, err := s.vault.get(ctx); err == nil && stateful {
		state, _ := v.SealState(fixturePurpose, []byte(step))
		b = b.RequestState(state)
	}
	for _, q := range all {
		b = q.put(b)
	}
	return b
}
