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

	needs    []provider.Need
	schema   *jsonschema.Schema // of the arguments without an approval
	previews bool
	prepare  func(args json.RawMessage) (run, error)
}

// run is a call whose arguments are decoded.
type run struct {
	digest string // of the arguments, without the cursor
	do     func(ctx context.Context, c *Client, backend int) (*Result, error)
	look   func(ctx context.Context, c *Client, backend int) ([]Change, error)
}

// Part is what [Define] makes a tool of: a [Backend] for each vendor, and what [Summarize] answers.
type Part[In, Out any] interface{ join(d *definition[In, Out]) }

// definition is the parts of a tool together.
type definition[In, Out any] struct {
	backends  []Backend[In, Out]
	summarize func(in In, out Out) string
}

// Backend is one vendor that can serve a tool, made by [Via].
type Backend[In, Out any] struct {
	need   provider.Need
	handle func(ctx context.Context, c *Client, in In) (Out, error)
	look   func(ctx context.Context, c *Client, in In) ([]Change, error)
}

// Via says that handle serves a tool by an account that meets need.
func Via[In, Out any](need provider.Need, handle func(ctx context.Context, c *Client, in In) (Out, error)) Backend[In, Out] {
	return Backend[In, Out]{need: need, handle: handle}
}

// Preview says that look tells what an update would change, by reading what is
// there now. It must change nothing itself. See [Tool.Preview].
func (b Backend[In, Out]) Preview(look func(ctx context.Context, c *Client, in In) ([]Change, error)) Backend[In, Out] {
	b.look = look
	return b
}

func (b Backend[In, Out]) join(d *definition[In, Out]) { d.backends = append(d.backends, b) }

// Define makes a tool. In and Out are structs whose json tags name the
// properties and whose jsonschema tags describe them; the schema tag of an
// argument bounds it (see [Tool.Input]): minLength, maxLength, maxItems, minimum, maximum,
// pattern, enum (separated by |) and default. Every string needs a maxLength.
// Define adds the argument `account`, and `approval` where the tool is no [Read]. It panics on a mistake in these types,
// which no input of a user can cause.
func Define[In, Out any](kind Kind, name, title, description string, parts ...Part[In, Out]) Tool {
	var d definition[In, Out]
	for _, p := range parts {
		p.join(&d)
	}
	if !regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`).MatchString(name) {
		panic("tools: bad name " + name)
	}
	if title == "" || description == "" || len(d.backends) == 0 {
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
		schema: in, prepare: d.prepare,
	}
	if kind != Read {
		t.Input = mustEncode(approvable(in))
	}
	for _, b := range d.backends {
		t.needs = append(t.needs, b.need)
		t.previews = t.previews || b.look != nil
	}
	return t
}

// Needs are what the tool's backends require, in the order of preference.
func (t Tool) Needs() []provider.Need { return slices.Clone(t.needs) }

// Call runs the tool with the arguments that a client sent (nil = none). Errors
// are *[InputError], *[APIError], *[provider.ScopeError], ctx's, and whatever
// src answered.
func (t Tool) Call(ctx context.Context, src Source, args json.RawMessage) (*Result, error) {
	r, c, i, err := t.begin(ctx, src, args)
	if err != nil {
		return nil, err
	}
	res, err := r.do(ctx, c, i)
	if err != nil {
		return nil, t.failure(ctx, c, t.Kind, err)
	}
	return res, nil
}

// Check is nil when [Tool.Call] would ask for a token with these arguments, else its *[InputError]: nobody is asked about a call that cannot work.
func (t Tool) Check(args json.RawMessage) (account string, err error) {
	args, account, err = readArguments(t.Name, t.schema, args)
	if err == nil {
		_, err = t.prepare(args)
	}
	return account, err
}

// Preview is what the call would change, for the person who is asked about it: nil
// where the tool does not say, empty where nothing would change. It reads at the vendor and changes nothing. Errors are those of [Tool.Call].
func (t Tool) Preview(ctx context.Context, src Source, args json.RawMessage) ([]Change, error) {
	if !t.previews {
		return nil, nil
	}
	r, c, i, err := t.begin(ctx, src, args)
	if err != nil {
		return nil, err
	}
	changes, err := r.look(ctx, c, i)
	if err != nil {
		return nil, t.failure(ctx, c, Read, err)
	}
	return changes, nil
}

// begin is what comes before the vendor is asked: checked arguments, a token, and the backend that it is for.
func (t Tool) begin(ctx context.Context, src Source, args json.RawMessage) (r run, c *Client, backend int, err error) {
	args, account, err := readArguments(t.Name, t.schema, args)
	if err != nil {
		return r, nil, 0, err
	}
	if r, err = t.prepare(args); err != nil {
		return r, nil, 0, err
	}
	bearer, err := src.Bearer(ctx, t.Needs(), account)
	if err != nil {
		return r, nil, 0, err
	}
	if backend, err = t.backend(bearer); err != nil {
		return r, nil, 0, err
	}
	binding := cursorBinding{tool: t.Name, args: r.digest, grant: bearer.Grant}
	return r, newClient(src, bearer, t.needs[backend].Provider, binding), backend, nil
}

func (t Tool) failure(ctx context.Context, c *Client, kind Kind, err error) error {
	err = failure(ctx, c.Provider, err)
	if e, ok := err.(*APIError); ok {
		return e.of(kind)
	}
	return err
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
func (d definition[In, Out]) prepare(args json.RawMessage) (run, error) {
	var in In
	if err := json.Unmarshal(args, &in); err != nil {
		return run{}, &InputError{Reason: "do not fit their schema"}
	}
	if c, ok := any(in).(Checker); ok {
		if err := c.Check(); err != nil {
			return run{}, err
		}
	}
	return run{
		digest: argumentDigest(args),
		do: func(ctx context.Context, c *Client, backend int) (*Result, error) {
			out, err := d.backends[backend].handle(ctx, c, in)
			if err != nil {
				return nil, err
			}
			return newResult(c.Provider, out, d.summary(in, out))
		},
		look: func(ctx context.Context, c *Client, backend int) ([]Change, error) {
			if d.backends[backend].look == nil {
				return nil, nil
			}
			changes, err := d.backends[backend].look(ctx, c, in)
			if changes == nil {
				changes = []Change{}
			}
			return changes, err
		},
	}, nil
}
