//go:build conformance

package mcp

import (
	"context"
	"encoding/json"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

// NewConformance makes a server that has, beside its own, the tools, prompts and
// resources that the official conformance suite asks for. It is in builds with
// the tag conformance alone.
func NewConformance(cfg Config) (*Server, error) {
	s, err := newServer(cfg,
		server.WithResourceCapabilities(true, true), server.WithPromptCapabilities(true),
		server.WithCompletions(), server.WithLogging())
	if err != nil {
		return nil, err
	}
	s.asksClients = true
	s.plainTools()
	s.askingTools()
	s.roundTools()
	s.changingTools()
	s.fixtureResources()
	s.fixturePrompts()
	return s, nil
}

// Conformance is [Server.Handler] for anybody, without a bearer: the whole chain but that.
func (s *Server) Conformance() http.Handler {
	return s.chain(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(withOrigin(r.Context(), origin{
				person: vault.Person{Caller: vault.Caller{Issuer: "conformance", Subject: "suite"}},
				agent:  vault.Agent{Issuer: "conformance", ID: "suite"},
				scopes: OwnScopes(),
			})))
		})
	})
}

// fixture adds a tool of the suite.
func (s *Server) fixture(name, description string, run server.ToolHandlerFunc, more ...mcpgo.ToolOption) {
	t := mcpgo.NewTool(name, append([]mcpgo.ToolOption{mcpgo.WithDescription(description)}, more...)...)
	s.entries[name] = entry{tool: t, hash: func() string { return hashOf(t) }}
	s.mcp.AddTool(t, run)
}

// says is a handler that always answers the same.
func says(content ...mcpgo.Content) server.ToolHandlerFunc {
	return func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return &mcpgo.CallToolResult{Content: content}, nil
	}
}

const (
	fixtureImage = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	fixtureSound = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
	fixtureInput = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
		"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},
		"phone":{"type":"string"},"email":{"type":"string"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
		"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
		"additionalProperties":false}`
)

// plainTools answer at once.
func (s *Server) plainTools() {
	image, text := mcpgo.NewImageContent(fixtureImage, "image/png"), mcpgo.NewTextContent
	embedded := func(uri, kind, text string) mcpgo.Content {
		return mcpgo.NewEmbeddedResource(mcpgo.TextResourceContents{URI: uri, MIMEType: kind, Text: text})
	}
	s.fixture("test_simple_text", "Answers a text.", says(text("This is a simple text response for testing.")))
	s.fixture("test_image_content", "Answers an image.", says(image))
	s.fixture("test_audio_content", "Answers a sound.", says(mcpgo.NewAudioContent(fixtureSound, "audio/wav")))
	s.fixture("test_embedded_resource", "Answers a resource.",
		says(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")))
	s.fixture("test_multiple_content_types", "Answers a text, an image and a resource.",
		says(text("Multiple content types test:"), image, embedded("test://mixed-content-resource", "application/json", `{"test":"data","value":123}`)))
	s.fixture("test_error_handling", "Answers an error.", func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultError("This tool intentionally returns an error for testing"), nil
	})
	s.fixture("test_header", "Takes an argument in a header, too.", says(text("done")), func(t *mcpgo.Tool) {
		t.RawInputSchema = json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)
		t.InputSchema = mcpgo.ToolInputSchema{}
	})
	s.fixture("json_schema_2020_12_tool", "Has a schema with all that JSON Schema 2020-12 can say.", says(text("done")), func(t *mcpgo.Tool) {
		t.RawInputSchema, t.InputSchema = json.RawMessage(fixtureInput), mcpgo.ToolInputSchema{}
	})
	s.fixture("test_tool_with_logging", "Logs while it runs.", logs)
	s.fixture("test_logging_tool", "Logs when the request asks for it.", logs)
	s.fixture("test_tool_with_progress", "Tells its progress.", progresses)
}

// logs writes three lines: always in the 2025 era, later when the request names a level.
func logs(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	if !server.IsModernRequest(ctx) || server.RequestProtocolInfoFromContext(ctx).LogLevel != "" {
		for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			notify(ctx, mcpgo.MethodNotificationMessage, map[string]any{"level": "info", "logger": "conformance", "data": text})
		}
	}
	return mcpgo.NewToolResultText("Tool with logging executed successfully"), nil
}

func progresses(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	if r.Params.Meta != nil && r.Params.Meta.ProgressToken != nil {
		for _, progress := range []int{0, 50, 100} {
			notify(ctx, mcpgo.MethodNotificationProgress, map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": progress, "total": 100})
		}
	}
	return mcpgo.NewToolResultText("progress reported"), nil
}

// changingTools change what there is.
func (s *Server) changingTools() {
	s.fixture("test_trigger_tool_change", "Changes the list of tools.", func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		s.mcp.AddTool(mcpgo.NewTool("test_passing", mcpgo.WithDescription("Comes and goes.")), says(mcpgo.NewTextContent("done")))
		s.mcp.DeleteTools("test_passing")
		return mcpgo.NewToolResultText("changed"), nil
	})
	s.fixture("test_trigger_prompt_change", "Changes the list of prompts.", func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		s.mcp.AddPrompt(mcpgo.NewPrompt("test_passing", mcpgo.WithPromptDescription("Comes and goes.")), promptSays(mcpgo.NewTextContent("done")))
		s.mcp.DeletePrompts("test_passing")
		return mcpgo.NewToolResultText("changed"), nil
	})
}

// notify sends a notification on the stream of the request that ctx is of.
// mcp-go's own way to the same stream is a channel that drops the last one in
// front of the answer (its issue 969).
func notify(ctx context.Context, method mcpgo.MCPMethod, params map[string]any) {
	if to, ok := sinkOf(ctx); ok {
		to.notify(notification(method, params))
	}
}
