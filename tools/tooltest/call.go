package tooltest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/grantry/grantry/tools"
)

// Call runs the tool, holds the result against its output schema and decodes it.
func Call[Out any](t *testing.T, tool tools.Tool, src tools.Source, args string) Out {
	t.Helper()
	res, err := tool.Call(t.Context(), src, json.RawMessage(args))
	if err != nil {
		t.Fatalf("%s %s: %v", tool.Name, args, err)
	}
	Conforms(t, tool, res)
	var out Out
	if err := json.Unmarshal(res.Structured, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Conforms fails the test unless the result fits the tool's output schema, says
// the same as text, is within the cap and shows no token.
func Conforms(t *testing.T, tool tools.Tool, res *tools.Result) {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(tool.Output, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(res.Structured, &v); err != nil {
		t.Fatal(err)
	}
	if err := resolved.Validate(v); err != nil {
		t.Errorf("%s: result does not conform to its schema: %v", tool.Name, err)
	}
	if res.Text != string(res.Structured) {
		t.Errorf("%s: text differs from the structured result", tool.Name)
	}
	if len(res.Text) > tools.MaxResult {
		t.Errorf("%s: result has %d bytes, more than %d", tool.Name, len(res.Text), tools.MaxResult)
	}
	NoCanary(t, res.Text)
}

// NoCanary fails the test when s shows a token, or anything with "canary" in it.
func NoCanary(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(strings.ToLower(s), "canary") {
		t.Errorf("a canary surfaced in %.300s", s)
	}
}

// Fails runs the tool and answers its error as an E. Neither the error nor what
// it wraps may show a canary.
func Fails[E error](t *testing.T, tool tools.Tool, src tools.Source, args string) E {
	t.Helper()
	res, err := tool.Call(t.Context(), src, json.RawMessage(args))
	if err == nil {
		t.Fatalf("%s %s: no error but %s", tool.Name, args, res.Text)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		NoCanary(t, fmt.Sprintf("%v %+v", e, e))
	}
	out, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("%s %s: %T: %v", tool.Name, args, err, err)
	}
	return out
}

// Mistake is arguments that cannot be used, and what is said about them.
type Mistake struct {
	Args string
	Path string // of the InputError
	Says string // part of its reason
}

// Refuses runs the tool with every mistake: each must be an InputError, before a
// token is asked for.
func Refuses(t *testing.T, tool tools.Tool, mistakes []Mistake) {
	t.Helper()
	for _, m := range mistakes {
		name := m.Args
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Fails[*tools.InputError](t, tool, ForbiddenSource{t}, m.Args)
			if e.Path != m.Path || !strings.Contains(e.Reason, m.Says) {
				t.Errorf("got path %q, reason %q; want path %q, reason with %q", e.Path, e.Reason, m.Path, m.Says)
			}
		})
	}
}
