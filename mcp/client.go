package mcp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"
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

// origin is how a request came in; it travels in the context from the transport to [Server.handle].
type origin struct {
	person vault.Person
	agent  vault.Agent
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
	owner   pair
	version string // negotiated; "" until it has initialized
	url     bool   // declared elicitation.url
	name    string
	used    time.Time
}

const (
	maxClients         = 20_000
	maxClientsPerOwner = 200
	clientTTL          = 24 * time.Hour // without a request
)

// clients are the sessions of the 2025 era. Their ids are random, and one is
// good only with the bearer of the caller and agent who began it.
type clients struct {
	now    func() time.Time
	random io.Reader

	mu   sync.Mutex
	byID map[string]*client
}

func newClients(now func() time.Time, random io.Reader) *clients {
	return &clients{now: now, random: random, byID: map[string]*client{}}
}

// begin makes a session for owner and answers its id, 32 characters.
func (c *clients) begin(owner pair) string {
	raw := make([]byte, 24)
	if _, err := io.ReadFull(c.random, raw); err != nil {
		_, _ = rand.Read(raw) // never fails
	}
	id := base64.RawURLEncoding.EncodeToString(raw)
	c.put(id, owner)
	return id
}

func (c *clients) put(id string, owner pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.makeRoom(owner)
	c.byID[id] = &client{owner: owner, used: c.now()}
}

// makeRoom drops what ran out and, at a limit, the session that was used
// longest ago. Called with mu held.
func (c *clients) makeRoom(owner pair) {
	if len(c.byID) < maxClientsPerOwner {
		return
	}
	oldest, own, total := "", 0, len(c.byID)
	limit := c.now().Add(-clientTTL)
	for id, x := range c.byID {
		if x.used.Before(limit) {
			delete(c.byID, id)
			continue
		}
		if x.owner == owner {
			own++
		}
		if (total >= maxClients || x.owner == owner) && (oldest == "" || x.used.Before(c.byID[oldest].used)) {
			oldest = id
		}
	}
	if own >= maxClientsPerOwner || len(c.byID) >= maxClients {
		delete(c.byID, oldest)
	}
}

// of is the session id of owner; the same answer for another's and for none.
func (c *clients) of(id string, owner pair) (client, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.byID[id]
	if x == nil || x.owner != owner {
		return client{}, false
	}
	x.used = c.now()
	return *x, true
}

func (c *clients) end(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// remember notes what a client said in its initialize, before the answer is written.
func (s *Server) remember(ctx context.Context, _ any, req *mcpgo.InitializeRequest, res *mcpgo.InitializeResult) {
	session := server.ClientSessionFromContext(ctx)
	if session == nil || res == nil {
		return
	}
	s.clients.mu.Lock()
	defer s.clients.mu.Unlock()
	if x := s.clients.byID[session.SessionID()]; x != nil {
		x.version = res.ProtocolVersion
		x.url = declaresURL(&req.Params.Capabilities)
		x.name = displayName(req.Params.ClientInfo)
	}
}

func declaresURL(c *mcpgo.ClientCapabilities) bool {
	return c != nil && c.Elicitation != nil && c.Elicitation.URL != nil
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
		return p
	}
	session := server.ClientSessionFromContext(ctx)
	if session == nil {
		return peer{}
	}
	x, ok := s.clients.of(session.SessionID(), o.owner())
	if !ok {
		return peer{}
	}
	p := peer{name: x.name, session: session.SessionID()}
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
