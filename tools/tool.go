package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/grantry/grantry/vault/provider"
)

// Source gives a call its token. Whoever runs tools implements it; its errors
// pass through [Tool.Call] unchanged.
type Source interface {
	// Bearer answers a token for one of needs. Account is a label or an id, "" = the caller's only or default one.
	Bearer(ctx context.Context, needs []provider.Need, account string) (provider.Bearer, error)
	// Renew answers a newer token after the API answered 401 to stale.
	Renew(ctx context.Context, stale provider.Bearer) (provider.Bearer, error)
}

// Checker is for argument types with rules that a schema cannot say. Check is
// asked before there is a token, so that nobody consents to a call that cannot work.
type Checker interface {
	Check() error // *InputError
}

// Tool is one tool, made by [Define].
type Tool struct {
	Name        string // "calendar_list_events"
	Title       string // "List calendar events"
	Description string
	Kind        Kind
	Group       string          // the name up to the first underscore: "calendar"
	Input       json.RawMessage // JSON Schema 2020-12 of the arguments, the same bytes in every build
	Output      json.RawMessage // JSON Schema 2020-12 of the structured result

	needs   []provider.Need
	schema  *jsonschema.Schema
	prepare func(args json.RawMessage) (run, error)
}

// run is a call whose arguments are decoded.
type run struct {
	digest string // of the arguments, without the cursor
	do     func(ctx context.Context, c *Client, backend int) (*Result, error)
}

// Backend is one vendor that can serve a tool, made by [Via].
type Backend[In, Out any] struct {
	need   provider.Need
	handle func(ctx context.Context, c *Client, in In) (Out, error)
}

// Via says that handle serves a tool by an account that meets need.
func Via[In, Out any](need provider.Need, handle func(ctx context.Context, c *Client, in In) (Out, error)) Backend[In, Out] {
	return Backend[In, Out]{need: need, handle: handle}
}

// Define makes a tool. In and Out are structs whose json tags name the
// properties and whose jsonschema tags describe them; the schema tag of an
// argument bounds it (see [Tool.Input]): minLength, maxLength, minimum, maximum,
// pattern, enum (separated by |) and default. Every string needs a maxLength.
// Define adds the argument `account`. It panics on a mistake in these types,
// which no input of a user can cause.
func Define[In, Out any](kind Kind, name, title, description string, backends ...Backend[In, Out]) Tool {
	if !regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`).MatchString(name) {
		panic("tools: bad name " + name)
	}
	if title == "" || description == "" || len(backends) == 0 {
		panic("tools: " + name + " lacks a title, a description or a backend")
	}
	in, err := inputSchema[In]()
	if err != nil {
		panic(fmt.Sprintf("tools: %s: %v", name, err))
	}
	out, err := outputSchema[Out]()
	if err != nil {
		panic(fmt.Sprintf("tools: %s: %v", name, err))
	}
	group, _, _ := strings.Cut(name, "_")
	t := Tool{
		Name: name, Title: title, Description: description, Kind: kind, Group: group,
		Input: mustEncode(in), Output: mustEncode(out),
		schema:  in,
		prepare: func(args json.RawMessage) (run, error) { return prepare(backends, args) },
	}
	for _, b := range backends {
		t.needs = append(t.needs, b.need)
	}
	return t
}

// Needs are what the tool's backends require, in the order of preference.
func (t Tool) Needs() []provider.Need { return slices.Clone(t.needs) }

// Call runs the tool with the arguments that a client sent (nil = none). Errors
// are *[InputError], *[APIError], *[provider.ScopeError], ctx's, and whatever
// src answered.
func (t Tool) Call(ctx context.Context, src Source, args json.RawMessage) (*Result, error) {
	args, account, err := readArguments(t.Name, t.schema, args)
	if err != nil {
		return nil, err
	}
	r, err := t.prepare(args)
	if err != nil {
		return nil, err
	}
	bearer, err := src.Bearer(ctx, t.Needs(), account)
	if err != nil {
		return nil, err
	}
	i, err := t.backend(bearer)
	if err != nil {
		return nil, err
	}
	c := newClient(src, bearer, t.needs[i].Provider, cursorBinding{tool: t.Name, args: r.digest, grant: bearer.Grant})
	res, err := r.do(ctx, c, i)
	if err != nil {
		err = failure(ctx, c.Provider, err)
		if e, ok := err.(*APIError); ok {
			return nil, e.of(t.Kind)
		}
		return nil, err
	}
	return res, nil
}

// backend is which of the tool's backends b is for.
func (t Tool) backend(b provider.Bearer) (int, error) {
	if len(t.needs) == 1 {
		return 0, nil
	}
	for i, n := range t.needs {
		if n.Connection != "" && n.Connection == b.Connection.Name() || n.Connection == "" && n.Provider == b.Connection.Provider().Name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("choosing backend of %s: the token is for none of them", t.Name)
}

// prepare decodes checked arguments.
func prepare[In, Out any](backends []Backend[In, Out], args json.RawMessage) (run, error) {
	var in In
	if err := json.Unmarshal(args, &in); err != nil {
		return run{}, &InputError{Reason: "do not fit their schema"}
	}
	if c, ok := any(in).(Checker); ok {
		if err := c.Check(); err != nil {
			return run{}, err
		}
	}
	do := func(ctx context.Context, c *Client, backend int) (*Result, error) {
		out, err := backends[backend].handle(ctx, c, in)
		if err != nil {
			return nil, err
		}
		return newResult(c.Provider, out)
	}
	return run{digest: argumentDigest(args), do: do}, nil
}
