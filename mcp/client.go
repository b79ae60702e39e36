package mcp

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/grantry/grantry/vault"
)

// row is what this client can be shown when a person is needed (DESIGN 4).
type row int

const (
	rowText   row = iota // a link in a tool result
	rowModern            // input_required with a URL elicitation, 2026-07-28 and later
	rowLegacy            // error -32042, 2025-11-25
)

// formsSince is the revision that brought elicitation.
const formsSince = mcpgo.ProtocolVersion20250618

// origin is how a request came in; it travels in the context from the transport to [Server.handle].
type origin struct {
	person vault.Person
	agent  vault.Agent
	scopes []string  // of the bearer
	until  time.Time // the bearer's end; zero = none
	// again proves the bearer once more; nil where there is none.
	again  func(context.Context) error
	client client // of the 2025 era
	stdio  bool
}

type originKey struct{}

func withOrigin(ctx context.Context, o origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

func originOf(ctx context.Context) (origin, bool) {
	o, ok := ctx.Value(originKey{}).(origin)
	return o, ok
}

// client is what a 2025-era client said in its initialize.
type client struct {
	id      string // of its session
	version string // negotiated
	url     bool   // declared elicitation.url
	form    bool   // declared elicitation with forms
	name    string
}

// remember notes what the client on stdio said in its initialize, before the
// answer is written. Over HTTP the session's id holds it.
func (s *Server) remember(ctx context.Context, _ any, req *mcpgo.InitializeRequest, res *mcpgo.InitializeResult) {
	if o, _ := originOf(ctx); !o.stdio || res == nil {
		return
	}
	s.local.Store(&client{
		id: stdioSession, version: res.ProtocolVersion, name: displayName(req.Params.ClientInfo),
		url: declaresURL(&req.Params.Capabilities), form: declaresForm(&req.Params.Capabilities),
	})
}

func declaresURL(c *mcpgo.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && c.Elicitation.URL != nil
}

// declaresForm says whether the client shows forms: an empty declaration is of 2025-06-18 and means them.
func declaresForm(c *mcpgo.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && (c.Elicitation.Form != nil || c.Elicitation.URL == nil)
}

// displayName is what a client calls itself, short and printable. Nothing vouches for it.
func displayName(i mcpgo.Implementation) string {
	name := i.Title
	if name == "" {
		name = i.Name
	}
	return plainName(name)
}

func plainName(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s))
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60])
	}
	return s
}

// peer is the client behind one request.
type peer struct {
	row     row
	form    bool // it can show a form in a dialog of its own
	name    string
	session string // id of its 2025-era session, "" in the modern era
}

// peerOf reads what the client can be shown: in the modern era from the request
// alone, in the 2025 era from its session.
func (s *Server) peerOf(ctx context.Context, o origin) peer {
	if server.IsModernRequest(ctx) {
		info := server.RequestProtocolInfoFromContext(ctx)
		p := peer{row: rowText}
		if info.ClientInfo != nil {
			p.name = displayName(*info.ClientInfo)
		}
		if declaresURL(info.ClientCapabilities) {
			p.row = rowModern
		}
		p.form = declaresForm(info.ClientCapabilities)
		return p
	}
	x := o.client
	if local := s.local.Load(); o.stdio && local != nil {
		x = *local
	}
	p := peer{name: x.name, session: x.id, form: x.form && x.version >= formsSince}
	if x.url && x.version == mcpgo.ProtocolVersion20251125 {
		p.row = rowLegacy
	}
	return p
}

func (o origin) owner() pair {
	if o.stdio {
		return pair{agent: "stdio"}
	}
	return pair{caller: o.person.Caller, issuer: o.agent.Issuer, agent: o.agent.ID}
}

var errNobody = errors.New("request without a caller")

// identify says for whom and by whom the call is.
func (s *Server) identify(o origin, p peer, v Vault) (vault.Person, vault.Agent, error) {
	if !o.stdio {
		if o.agent.Name == "" {
			o.agent.Name = p.name
		}
		return o.person, o.agent, nil
	}
	if s.cfg.Local == nil {
		return vault.Person{}, vault.Agent{}, errNobody
	}
	person := *s.cfg.Local
	if person.Issuer == "" {
		person.Issuer = "local:" + v.ID()
	}
	name := plainName(s.cfg.Agent)
	if name == "" {
		name = p.name
	}
	if name == "" {
		name = "unnamed"
	}
	return person, vault.Agent{ID: "stdio:" + name, Name: name}, nil
}
