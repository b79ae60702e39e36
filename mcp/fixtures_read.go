//go:build conformance

package mcp

import (
	"context"
	"fmt"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// fixtureResources are what the suite reads.
func (s *Server) fixtureResources() {
	text := func(uri, kind, body string) []mcpgo.ResourceContents {
		return []mcpgo.ResourceContents{mcpgo.TextResourceContents{URI: uri, MIMEType: kind, Text: body}}
	}
	s.mcp.AddResource(mcpgo.NewResource("test://static-text", "static-text", mcpgo.WithResourceDescription("A text."), mcpgo.WithMIMEType("text/plain")),
		func(context.Context, mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
			return text("test://static-text", "text/plain", "This is the content of the static text resource."), nil
		})
	s.mcp.AddResource(mcpgo.NewResource("test://watched-resource", "watched-resource", mcpgo.WithResourceDescription("A text that may change."), mcpgo.WithMIMEType("text/plain")),
		func(context.Context, mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
			return text("test://watched-resource", "text/plain", "Watched."), nil
		})
	s.mcp.AddResource(mcpgo.NewResource("test://static-binary", "static-binary", mcpgo.WithResourceDescription("An image."), mcpgo.WithMIMEType("image/png")),
		func(context.Context, mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
			return []mcpgo.ResourceContents{mcpgo.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: fixtureImage}}, nil
		})
	s.mcp.AddResourceTemplate(mcpgo.NewResourceTemplate("test://template/{id}/data", "template",
		mcpgo.WithTemplateDescription("A text with an id in it."), mcpgo.WithTemplateMIMEType("application/json")),
		func(_ context.Context, r mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(r.Params.URI, "test://template/"), "/data")
			return text(r.Params.URI, "application/json", fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id)), nil
		})
}

// promptSays is a prompt that always says the same.
func promptSays(content ...mcpgo.Content) server.PromptHandlerFunc {
	return func(context.Context, mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		return prompted(content...), nil
	}
}

func prompted(content ...mcpgo.Content) *mcpgo.GetPromptResult {
	res := &mcpgo.GetPromptResult{}
	for _, c := range content {
		res.Messages = append(res.Messages, mcpgo.PromptMessage{Role: mcpgo.RoleUser, Content: c})
	}
	return res
}

// fixturePrompts are what the suite gets.
func (s *Server) fixturePrompts() {
	add := func(name string, run server.PromptHandlerFunc, arguments ...string) {
		options := []mcpgo.PromptOption{mcpgo.WithPromptDescription("A prompt of the conformance suite.")}
		for _, a := range arguments {
			options = append(options, mcpgo.WithArgument(a, mcpgo.ArgumentDescription("An argument."), mcpgo.RequiredArgument()))
		}
		s.mcp.AddPrompt(mcpgo.NewPrompt(name, options...), run)
	}
	text := mcpgo.NewTextContent
	add("test_simple_prompt", promptSays(text("This is a simple prompt for testing.")))
	add("test_prompt_with_arguments", func(_ context.Context, r mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		return prompted(text(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", r.Params.Arguments["arg1"], r.Params.Arguments["arg2"]))), nil
	}, "arg1", "arg2")
	add("test_prompt_with_embedded_resource", func(_ context.Context, r mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		resource := mcpgo.TextResourceContents{URI: r.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}
		return prompted(mcpgo.NewEmbeddedResource(resource), text("Please process the embedded resource above.")), nil
	}, "resourceUri")
	add("test_prompt_with_image", promptSays(mcpgo.NewImageContent(fixtureImage, "image/png"), text("Please analyze the image above.")))
	what := form("user_context", "What context should the prompt use?", object(map[string]any{"context": typed("string")}, "context"))
	add("test_input_required_result_prompt", func(ctx context.Context, r mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		if !what.answered(r.Params.InputResponses) {
			return s.question(ctx, false, "", what).PromptResult(), nil
		}
		return prompted(text("A prompt with the context that was given.")), nil
	})
}
