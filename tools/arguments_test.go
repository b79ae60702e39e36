package tools_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
)

// echoTool answers the arguments that its handler got.
func echoTool() tools.Tool {
	return tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(_ context.Context, _ *tools.Client, in arguments) (answer, error) {
			raw, err := json.Marshal(in)
			return answer{Items: []string{}, Args: raw}, err
		}))
}

func TestMistakesInArguments(t *testing.T) {
	t.Parallel()
	tooltest.Refuses(t, echoTool(), []tooltest.Mistake{
		{Args: ``, Path: "query", Says: "is missing; required: query"},
		{Args: `{}`, Path: "query", Says: "is missing"},
		{Args: `null`, Path: "query", Says: "is missing"},
		{Args: `[]`, Path: "", Says: "must be an object, not a list"},
		{Args: `"query"`, Path: "", Says: "must be an object"},
		{Args: `{"query":"abc"`, Path: "", Says: "not valid JSON"},
		{Args: `{"query":"abc"}}`, Path: "", Says: "not valid JSON"},
		{Args: `{"query":"abc"} {}`, Path: "", Says: "not valid JSON"},
		{Args: `{"query":"a` + "\xff" + `bc"}`, Path: "", Says: "not valid UTF-8"},
		{Args: `{"query":7}`, Path: "query", Says: "must be a string, not a number"},
		{Args: `{"query":null}`, Path: "query", Says: "must be a string, not null"},
		{Args: `{"query":["abc"]}`, Path: "query", Says: "not a list"},
		{Args: `{"query":"a"}`, Path: "query", Says: "is 1 characters long; at least 2"},
		{Args: `{"query":""}`, Path: "query", Says: "must not be empty"},
		{Args: `{"query":"01234567890"}`, Path: "query", Says: "is 11 characters long; at most 10"},
		{Args: `{"query":"ab","query":"cd"}`, Path: "query", Says: "given twice"},
		{Args: `{"query":"ab","Query":"cd"}`, Path: "Query", Says: `did you mean "query"? Allowed: query, sort, code, limit`},
		{Args: `{"Query":"ab"}`, Path: "Query", Says: `did you mean "query"?`},
		{Args: `{"query":"ab","qurey":1}`, Path: "qurey", Says: `did you mean "query"?`},
		{Args: `{"query":"ab","lim":1}`, Path: "lim", Says: `did you mean "limit"?`},
		{Args: `{"query":"ab","zzzzzzzz":1}`, Path: "zzzzzzzz", Says: "is not an argument of things_list. Allowed:"},
		{Args: `{"query":"ab","":1}`, Path: `""`, Says: "is not an argument"},
		{Args: `{"query":"ab","` + strings.Repeat("é", 500) + `":1}`, Path: `"` + strings.Repeat("é", 20) + `"`, Says: "is not an argument"},
		{Args: `{"query":"ab","limit":0}`, Path: "limit", Says: "must be between 1 and 250"},
		{Args: `{"query":"ab","limit":251}`, Path: "limit", Says: "must be between 1 and 250"},
		{Args: `{"query":"ab","limit":1.5}`, Path: "limit", Says: "must be a whole number"},
		{Args: `{"query":"ab","limit":"5"}`, Path: "limit", Says: "must be a whole number, not a string"},
		{Args: `{"query":"ab","limit":1e999}`, Path: "limit", Says: "too large a number"},
		{Args: `{"query":"ab","ratio":2}`, Path: "ratio", Says: "must be at most 1"},
		{Args: `{"query":"ab","deep":"yes"}`, Path: "deep", Says: "must be true or false, not a string"},
		{Args: `{"query":"ab","sort":"size"}`, Path: "sort", Says: `must be one of: ["name" "date"]`},
		{Args: `{"query":"ab","code":"A1"}`, Path: "code", Says: "must match ^[a-z]+$"},
		{Args: `{"query":"ab","labels":[{"name":"a"},{"name":"b"},{"name":"c"}]}`, Path: "labels", Says: "has 3 entries; at most 2"},
		{Args: `{"query":"ab","labels":[{"name":"a"},{"nane":"b"}]}`, Path: "labels[1].nane", Says: `did you mean "name"?`},
		{Args: `{"query":"ab","labels":[{}]}`, Path: "labels[0].name", Says: "is missing"},
		{Args: `{"query":"ab","labels":[{"name":"a","name":"b"}]}`, Path: "labels[0].name", Says: "given twice"},
		{Args: `{"query":"ab","words":["red","green"]}`, Path: "words[1]", Says: `must be one of: ["red" "blue"]`},
		{Args: `{"query":"ab","words":"red"}`, Path: "words", Says: "must be a list, not a string"},
		{Args: `{"query":"ab","account":""}`, Path: "account", Says: "must not be empty"},
		{Args: `{"query":"ab","account":3}`, Path: "account", Says: "must be a string"},
		{Args: `{"query":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, Path: "", Says: "nested too deeply"},
		{Args: `{"query":"` + strings.Repeat("a", 600<<10) + `"}`, Path: "", Says: "at most 512.0 KiB"},
	})
}

func TestArgumentsReachTheHandler(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "google", http.NotFoundHandler())
	for args, want := range map[string]string{
		`{"query":"ab"}`:                               `{"query":"ab","limit":50,"Unset":{}}`,
		`{"query":"ab","limit":50.0}`:                  `{"query":"ab","limit":50}`,
		`{"query":"ab","limit":2e1}`:                   `{"query":"ab","limit":20}`,
		`{"query":"éèüéèüéèü1"}`:                       `{"query":"éèüéèüéèü1","limit":50}`,
		`{"query":"a<","labels":[{"name":"x"}]}`:       `{"query":"a<","limit":50,"labels":[{"name":"x"}]}`,
		`{"query":"ab","deep":true,"account":"a@b.c"}`: `{"query":"ab","limit":50,"deep":true}`,
	} {
		out := tooltest.Call[answer](t, echoTool(), src, args)
		var got, exp arguments
		if json.Unmarshal(out.Args, &got) != nil || json.Unmarshal([]byte(want), &exp) != nil {
			t.Fatalf("bad JSON for %s", args)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(exp)
		if string(a) != string(b) {
			t.Errorf("%s: handler got %s, want %s", args, a, b)
		}
	}
	named := 0
	for _, a := range src.Accounts() {
		if a == "a@b.c" {
			named++
		}
	}
	if named != 1 {
		t.Errorf("accounts asked for: %q", src.Accounts())
	}
}

// TestCheckComesBeforeTheToken: what a schema cannot say is refused as early as what it can.
func TestCheckComesBeforeTheToken(t *testing.T) {
	t.Parallel()
	tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(context.Context, *tools.Client, picky) (answer, error) { return answer{}, nil }))
	tooltest.Refuses(t, tool, []tooltest.Mistake{{Args: `{"odd":2}`, Path: "odd", Says: "must be odd"}})
}

type picky struct {
	Odd int `json:"odd"`
}

// Check refuses even numbers.
func (p picky) Check() error {
	if p.Odd%2 == 0 {
		return &tools.InputError{Path: "odd", Reason: "must be odd"}
	}
	return nil
}
