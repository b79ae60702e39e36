//go:build conformance

package mcp

import (
	"context"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// object is a schema with these properties, all of them required when required is set.
func object(properties map[string]any, required ...string) map[string]any {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func typed(kind string) map[string]any { return map[string]any{"type": kind} }

// askingTools send requests to a client of the 2025 era while they run.
func (s *Server) askingTools() {
	s.fixture("test_sampling", "Asks the client's model.", s.samples, mcpgo.WithString("prompt", mcpgo.Required()))
	s.fixture("test_elicitation", "Asks the person.", func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return s.elicits(ctx, "User response", r.GetString("message", ""),
			object(map[string]any{"username": typed("string"), "email": typed("string")}, "username", "email"))
	}, mcpgo.WithString("message", mcpgo.Required()))
	s.fixture("test_elicitation_sep1034_defaults", "Asks with defaults.", func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return s.elicits(ctx, "Elicitation completed", "Provide your information", object(map[string]any{
			"name":     map[string]any{"type": "string", "default": "John Doe"},
			"age":      map[string]any{"type": "integer", "default": 30},
			"score":    map[string]any{"type": "number", "default": 95.5},
			"status":   map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
			"verified": map[string]any{"type": "boolean", "default": true},
		}))
	})
	titled := []any{map[string]any{"const": "value1", "title": "Value One"}, map[string]any{"const": "value2", "title": "Value Two"}}
	s.fixture("test_elicitation_sep1330_enums", "Asks with choices.", func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return s.elicits(ctx, "Elicitation completed", "Select options", object(map[string]any{
			"untitledSingle": map[string]any{"type": "string", "enum": []string{"option1", "option2"}},
			"titledSingle":   map[string]any{"type": "string", "oneOf": titled},
			"legacyEnum":     map[string]any{"type": "string", "enum": []string{"opt1", "opt2"}, "enumNames": []string{"Option One", "Option Two"}},
			"untitledMulti":  map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": []string{"option1", "option2"}}},
			"titledMulti":    map[string]any{"type": "array", "items": map[string]any{"anyOf": titled}},
		}))
	})
}

func (s *Server) samples(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	res, err := s.mcp.RequestSampling(ctx, mcpgo.CreateMessageRequest{
		Request:             mcpgo.Request{Method: string(mcpgo.MethodSamplingCreateMessage)},
		CreateMessageParams: sample(r.GetString("prompt", ""), 100),
	})
	if err != nil {
		return mcpgo.NewToolResultError("the client did not answer"), nil
	}
	return mcpgo.NewToolResultText(fmt.Sprintf("LLM response: %v", res.Content)), nil
}

func sample(prompt string, tokens int) mcpgo.CreateMessageParams {
	return mcpgo.CreateMessageParams{
		Messages:  []mcpgo.SamplingMessage{{Role: mcpgo.RoleUser, Content: mcpgo.NewTextContent(prompt)}},
		MaxTokens: tokens,
	}
}

func (s *Server) elicits(ctx context.Context, what, message string, schema map[string]any) (*mcpgo.CallToolResult, error) {
	res, err := s.mcp.RequestElicitation(ctx, mcpgo.ElicitationRequest{
		Request: mcpgo.Request{Method: string(mcpgo.MethodElicitationCreate)},
		Params:  mcpgo.ElicitationParams{Message: message, RequestedSchema: schema},
	})
	if err != nil {
		return mcpgo.NewToolResultError("the client did not answer"), nil
	}
	return mcpgo.NewToolResultText(fmt.Sprintf("%s: action=%s, content=%v", what, res.Action, res.Content)), nil
}
