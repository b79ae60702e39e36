package mcp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const instructions = `Grantry holds its users' connections to Google, Slack, Salesforce and others, and gives tools instead of tokens.
When a tool answers with a link, show that link to the user unchanged, do not open it yourself, and call the tool again when they are done.
Tools that change something ask the user first; an approved call runs once, and "approval" alone is enough to call it.
connections_list says what is connected and what each tool still needs; connections_connect asks for a connection beforehand.`

// Server serves MCP for one vault. Make it by [New]; one of its transports is
// usually enough, both may run.
type Server struct {
	cfg     Config
	log     *slog.Logger
	vault   opener
	mcp     *server.MCPServer
	entries map[string]entry
	local   atomic.Pointer[client] // on stdio, of the 2025 era
	streams *streams
	ended   *ended
	asks    *asks
	limits  *limiter
	// asksClients: tools send requests to clients of the 2025 era while they run. None of the product's does.
	asksClients bool

	stopping context.Context // ends when the server stops: nothing waits for a person any more
	stop     context.CancelFunc
	mu       sync.Mutex // of stopped and http
	stopped  bool
	bg       sync.WaitGroup
	http     *server.StreamableHTTPServer
}

// New makes a server. It opens nothing and starts nothing that outlives Shutdown.
func New(cfg Config) (*Server, error) { return newServer(cfg) }

func newServer(cfg Config, more ...server.ServerOption) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("configuring MCP server: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, vault: opener{open: cfg.Open},
		entries: map[string]entry{},
		streams: &streams{held: map[string]sink{}},
		ended:   newEnded(cfg.Records, cfg.Now),
		asks:    newAsks(cfg.MaxWaiting),
		limits:  newLimiter(cfg.Limits, cfg.Now),
	}
	s.vault.opened = s.offer
	s.stopping, s.stop = context.WithCancel(context.Background())
	hooks := &server.Hooks{}
	hooks.AddAfterInitialize(s.remember)
	hooks.AddAfterListTools(s.filter)
	s.mcp = server.NewMCPServer("grantry", cfg.Version, append([]server.ServerOption{
		server.WithTitle("Grantry"),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(true),
		server.WithCacheHints(0, mcpgo.CacheScopePrivate),
		server.WithHooks(hooks),
	}, more...)...)
	for _, e := range s.catalog() {
		if _, double := s.entries[e.tool.Name]; double {
			return nil, fmt.Errorf("configuring MCP server: two tools are named %s", e.tool.Name)
		}
		e.hash = sync.OnceValue(func() string { return hashOf(e.tool) }) // not at the start: a client waits for it
		s.entries[e.tool.Name] = e
		s.mcp.AddTool(e.tool, s.handle)
	}
	return s, nil
}

// ToolNames are the names of all tools that a client sees, sorted.
func (s *Server) ToolNames() []string {
	names := make([]string, 0, len(s.entries))
	for name, e := range s.entries {
		if !s.hidden(e) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}

// Shutdown ends what would keep a client connected: calls that wait for a person
// answer with the link, listen streams end with their final result. It returns
// when nothing of ours runs in the background; calls in flight are the transport's.
func (s *Server) Shutdown() {
	s.mu.Lock()
	s.stopped = true
	streams := s.http
	s.mu.Unlock()
	s.stop()
	if streams != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = streams.Shutdown(ctx) // it has no http.Server of its own: this ends sessions and their sweeper
	}
	s.bg.Wait()
}

// background runs f until it returns or Shutdown; f must watch s.stopping.
func (s *Server) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.bg.Go(f)
	}
}
