package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
)

// accountInfo is one of the caller's accounts, as connections_list shows it.
type accountInfo struct {
	ID         string   `json:"id" jsonschema:"use it, or the label, as the account argument of other tools"`
	Connection string   `json:"connection"`
	Provider   string   `json:"provider"`
	Label      string   `json:"label"`
	Scopes     []string `json:"scopes" jsonschema:"granted at the vendor"`
	State      string   `json:"state" jsonschema:"active, revoked, expired, no_refresh, quarantined or connection_changed"`
	Default    bool     `json:"default"`
	Warning    string   `json:"warning,omitempty" jsonschema:"what the user should know: that access ends within three days"`
}

// toolInfo is what one enabled tool would still need.
type toolInfo struct {
	Name    string   `json:"name"`
	Missing []string `json:"missing" jsonschema:"scopes, or else the reason why it cannot run; empty when it can"`
}

type listed struct {
	Accounts []accountInfo `json:"accounts"`
	Tools    []toolInfo    `json:"tools"`
}

// connectArguments are those of connections_connect.
type connectArguments struct {
	Connection string   `json:"connection" jsonschema:"name of the connection, as connections_list and errors give it"`
	Scopes     []string `json:"scopes,omitempty" jsonschema:"scopes to ask for; without them, all that the enabled tools need"`
}

type connected struct {
	Connection string   `json:"connection"`
	Account    string   `json:"account"`
	Scopes     []string `json:"scopes" jsonschema:"granted at the vendor"`
	Message    string   `json:"message"`
}

// ownTools are the tools about Grantry itself.
func (s *Server) ownTools() []entry {
	list := describe("connections_list", "List connections",
		"Which accounts the user has connected, with the scopes granted and whether they still work, and what each tool would still need. Takes no arguments.",
		schemaOf[struct{}](), schemaOf[listed](), tools.Annotations{ReadOnly: true, Idempotent: true})
	connect := describe("connections_connect", "Connect an account",
		"Ask the user to connect an account, or to allow more of it, before a tool needs it. Gives a link for the user unless everything is there.",
		schemaOf[connectArguments](), schemaOf[connected](), tools.Annotations{Idempotent: true, OpenWorld: true})
	return []entry{
		{tool: list, kind: tools.Read, run: s.list},
		{tool: connect, kind: tools.Write, run: s.connect},
	}
}

// list is connections_list.
func (s *Server) list(ctx context.Context, c *call) (*tools.Result, error) {
	if _, err := arguments(c, nil); err != nil {
		return nil, err
	}
	all, err := c.vault.Accounts(ctx, c.person.Caller)
	if err != nil {
		return nil, err
	}
	out := listed{Accounts: []accountInfo{}, Tools: []toolInfo{}}
	warnings, err := s.warnings(ctx, c, all)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		out.Accounts = append(out.Accounts, infoOf(a, warnings[a.ID]))
	}
	for _, t := range s.cfg.Tools {
		if s.hidden(s.entries[t.Name]) {
			continue
		}
		missing, err := s.missing(ctx, c, t)
		if err != nil {
			return nil, err
		}
		out.Tools = append(out.Tools, toolInfo{Name: t.Name, Missing: missing})
	}
	return result(out)
}

// soon is how long before an end it is told.
const soon = 3 * 24 * time.Hour

// warnings are the ends of this agent's access, and of whole accounts, that come soon, by account.
func (s *Server) warnings(ctx context.Context, c *call, all []vault.Account) (map[string]string, error) {
	access, err := c.vault.AccessList(ctx, c.person.Caller)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range access {
		if !a.Once && a.Agent.Issuer == c.agent.Issuer && a.Agent.ID == c.agent.ID && s.soon(a.Ends) {
			out[a.Account] = fmt.Sprintf("This agent's access to it ends %s; after that the next call asks the user anew. They see it %s.", a.Ends.UTC().Format(time.RFC3339), s.page(ctx, "agents"))
		}
	}
	for _, a := range all {
		if s.soon(a.EndsBy) {
			out[a.ID] = fmt.Sprintf("Its vendor ends this connection %s, whatever is done; the user connects it again %s.", a.EndsBy.UTC().Format(time.RFC3339), s.place(ctx))
		}
	}
	return out, nil
}

// soon says whether an end is near and still to come.
func (s *Server) soon(end time.Time) bool {
	left := end.Sub(s.cfg.Now())
	return left > 0 && left <= soon
}

func infoOf(a vault.Account, warning string) accountInfo {
	state := string(a.State)
	if a.Changed {
		state = string(vault.ConnChanged)
	}
	return accountInfo{
		ID: a.ID, Connection: a.Connection, Provider: a.Provider, Label: a.Label,
		Scopes: append([]string{}, a.Scopes...), State: state, Default: a.Default, Warning: warning,
	}
}

// missing is what a call of t would lack now: scopes, or a reason.
func (s *Server) missing(ctx context.Context, c *call, t tools.Tool) ([]string, error) {
	err := c.vault.Check(ctx, vault.Request{Caller: c.person.Caller, Agent: c.agent, Needs: t.Needs(), Tool: t.Name, Call: c.source.call})
	if err == nil {
		return []string{}, nil
	}
	lack, ok := errors.AsType[*vault.ConsentError](err)
	if !ok {
		return nil, err
	}
	if len(lack.Options) > 0 && len(lack.Options[0].Missing) > 0 {
		return lack.Options[0].Missing, nil
	}
	return []string{string(lack.Reason)}, nil
}

// connect is connections_connect. What is lacking is an error like that of any
// other tool, so the link is given in the same ways.
func (s *Server) connect(ctx context.Context, c *call) (*tools.Result, error) {
	args, err := s.connectArguments(c)
	if err != nil {
		return nil, err
	}
	need := s.needOf(args)
	account, err := s.accountFor(ctx, c, args.Connection, need)
	if err != nil {
		return nil, err
	}
	err = c.vault.Check(ctx, vault.Request{
		Caller: c.person.Caller, Agent: c.agent, Needs: []provider.Need{need}, Account: account.ID,
		Tool: c.entry.tool.Name, Call: c.source.call,
	})
	if err != nil {
		return nil, err
	}
	return result(connected{
		Connection: args.Connection, Account: account.Label, Scopes: append([]string{}, account.Scopes...),
		Message: fmt.Sprintf("%s is connected as %s, with everything that was asked for. Nobody has to do anything.", args.Connection, account.Label),
	})
}

// accountFor is the account of a connection that comes nearest to need: one that
// meets it, else the default, else any; the zero one when there is none.
func (s *Server) accountFor(ctx context.Context, c *call, connection string, need provider.Need) (vault.Account, error) {
	all, err := c.vault.Accounts(ctx, c.person.Caller)
	if err != nil {
		return vault.Account{}, err
	}
	var best vault.Account
	for _, a := range all {
		if a.Connection != connection {
			continue
		}
		err := c.vault.Check(ctx, vault.Request{Caller: c.person.Caller, Agent: c.agent, Needs: []provider.Need{need}, Account: a.ID, Tool: c.entry.tool.Name})
		if err == nil {
			return a, nil
		}
		if best.ID == "" || a.Default {
			best = a
		}
	}
	return best, nil
}

// needOf is the scopes that were asked for, else those of all enabled tools that could use the connection.
func (s *Server) needOf(args connectArguments) provider.Need {
	need := provider.Need{Connection: args.Connection, Provider: s.cfg.Connections[args.Connection]}
	for _, scope := range args.Scopes {
		need.Groups = append(need.Groups, []string{scope})
	}
	if len(args.Scopes) > 0 {
		return need
	}
	for _, t := range s.cfg.Tools {
		for _, n := range t.Needs() {
			if n.Connection != args.Connection && (n.Connection != "" || n.Provider != need.Provider) {
				continue
			}
			for _, group := range n.Groups {
				if !slices.ContainsFunc(need.Groups, func(g []string) bool { return slices.Equal(g, group) }) {
					need.Groups = append(need.Groups, group)
				}
			}
		}
	}
	return need
}

const (
	maxScopes = 50
	maxScope  = 256
)

func (s *Server) connectArguments(c *call) (out connectArguments, err error) {
	given, err := arguments(c, []string{"connection", "scopes"})
	if err != nil {
		return out, err
	}
	names := slices.Clone(c.vault.Connections())
	slices.Sort(names)
	allowed := "one of: " + strings.Join(names, ", ")
	if len(names) == 0 {
		allowed = "configured first: this Grantry has no connections"
	}
	if json.Unmarshal(given["connection"], &out.Connection) != nil || !slices.Contains(names, out.Connection) {
		return out, &tools.InputError{Path: "connection", Reason: "must be " + allowed}
	}
	if raw := given["scopes"]; raw != nil && json.Unmarshal(raw, &out.Scopes) != nil {
		return out, &tools.InputError{Path: "scopes", Reason: "must be a list of strings"}
	}
	if len(out.Scopes) > maxScopes {
		return out, &tools.InputError{Path: "scopes", Reason: fmt.Sprintf("has %d entries; at most %d are allowed", len(out.Scopes), maxScopes)}
	}
	for i, scope := range out.Scopes {
		if !scopeToken(scope) {
			return out, &tools.InputError{Path: fmt.Sprintf("scopes[%d]", i), Reason: fmt.Sprintf("must be 1 to %d characters without spaces or quotes (RFC 6749 §3.3)", maxScope)}
		}
	}
	return out, nil
}

// scopeToken says whether s is a scope-token of RFC 6749 §3.3.
func scopeToken(s string) bool {
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f || b == '"' || b == '\\' {
			return false
		}
	}
	return s != "" && len(s) <= maxScope
}

// arguments are the arguments of one of our own tools, by exact names.
func arguments(c *call, allowed []string) (map[string]json.RawMessage, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(c.args, &given); err != nil {
		return nil, &tools.InputError{Reason: "must be an object"}
	}
	for name := range given {
		if slices.Contains(allowed, name) {
			continue
		}
		if len(allowed) == 0 {
			return nil, &tools.InputError{Reason: "must be empty: " + c.entry.tool.Name + " takes none"}
		}
		return nil, &tools.InputError{Reason: "may only be: " + strings.Join(allowed, ", ")}
	}
	return given, nil
}
