package tools_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/vault/provider"
)

// arguments and answer are those of the tool that these tests define.
type arguments struct {
	Query  string   `json:"query" jsonschema:"What to look for" schema:"minLength=2,maxLength=10"`
	Sort   string   `json:"sort,omitempty" schema:"enum=name|date"`
	Code   string   `json:"code,omitempty" schema:"maxLength=5,pattern=^[a-z]+$"`
	Limit  int      `json:"limit,omitempty" schema:"minimum=1,maximum=250,default=50"`
	Ratio  float64  `json:"ratio,omitempty" schema:"maximum=1"`
	Deep   bool     `json:"deep,omitempty"`
	Labels []label  `json:"labels,omitempty" schema:"maxItems=2"`
	Words  []string `json:"words,omitempty" schema:"maxItems=3,maxLength=4,enum=red|blue"`
	Cursor string   `json:"cursor,omitempty" schema:"maxLength=4096"`
	Unset  struct{} `json:"-"`
}

type label struct {
	Name string `json:"name" schema:"maxLength=5"`
}

type answer struct {
	Items []string        `json:"items"`
	Args  json.RawMessage `json:"args,omitempty"`
	Next  string          `json:"next_cursor,omitempty"`
}

func googleNeed() provider.Need {
	return provider.Need{Provider: "google", Groups: [][]string{{"https://www.googleapis.com/auth/drive.readonly"}}}
}

// flat are arguments without a list, whose items need bounds of their own.
type flat struct {
	Query string `json:"query" schema:"maxLength=10"`
}

func echo(_ context.Context, _ *tools.Client, in flat) (answer, error) {
	return answer{Items: []string{in.Query}}, nil
}

func TestAnnotationsFollowFromTheKind(t *testing.T) {
	t.Parallel()
	for kind, want := range map[tools.Kind]tools.Annotations{
		tools.Read:    {ReadOnly: true, Destructive: false, Idempotent: true, OpenWorld: true},
		tools.Write:   {ReadOnly: false, Destructive: false, Idempotent: false, OpenWorld: true},
		tools.Destroy: {ReadOnly: false, Destructive: true, Idempotent: false, OpenWorld: true},
	} {
		if got := kind.Annotations(); got != want {
			t.Errorf("%v: got %+v, want %+v", kind, got, want)
		}
	}
}

func TestDefine(t *testing.T) {
	t.Parallel()
	define := func() tools.Tool {
		return tools.Define(tools.Read, "things_list_all", "List", "Lists.", tools.Via(googleNeed(), echo))
	}
	tool := define()
	if tool.Group != "things" {
		t.Errorf("group %q", tool.Group)
	}
	if diff := cmp.Diff([]provider.Need{googleNeed()}, tool.Needs()); diff != "" {
		t.Error(diff)
	}
	for range 20 {
		if again := define(); string(again.Input) != string(tool.Input) || string(again.Output) != string(tool.Output) {
			t.Fatal("schemas differ between two definitions")
		}
	}
	var s struct {
		Properties           map[string]json.RawMessage
		Required             []string
		AdditionalProperties any
	}
	if err := json.Unmarshal(tool.Input, &s); err != nil {
		t.Fatal(err)
	}
	if s.Properties["account"] == nil || len(s.Required) != 1 || s.AdditionalProperties == nil {
		t.Errorf("input schema %s", tool.Input)
	}
	if strings.Contains(string(tool.Output), `"null"`) {
		t.Errorf("output schema admits null: %s", tool.Output)
	}
}

func TestDefinePanicsOnProgrammersErrors(t *testing.T) {
	t.Parallel()
	type unbounded struct {
		Text string `json:"text"`
	}
	type taken struct {
		Account string `json:"account" schema:"maxLength=3"`
	}
	type badTag struct {
		N int `json:"n" schema:"biggest=3"`
	}
	type badNumber struct {
		N int `json:"n" schema:"maximum=x"`
	}
	type badItems struct {
		L []string `json:"l" schema:"maxItems=3"`
	}
	type badInside struct {
		L []unbounded `json:"l" schema:"maxItems=3"`
	}
	type loose struct {
		M map[string]string `json:"m"`
	}
	for name, define := range map[string]func(){
		"name":        func() { defineWith[flat]("Things") },
		"one word":    func() { defineWith[flat]("things") },
		"no maximum":  func() { defineWith[unbounded]("things_list") },
		"account":     func() { defineWith[taken]("things_list") },
		"rule":        func() { defineWith[badTag]("things_list") },
		"number":      func() { defineWith[badNumber]("things_list") },
		"list items":  func() { defineWith[badItems]("things_list") },
		"inside":      func() { defineWith[badInside]("things_list") },
		"string":      func() { defineWith[string]("things_list") },
		"channel":     func() { defineWith[struct{ C chan int }]("things_list") },
		"open object": func() { defineWith[loose]("things_list") },
		"no backend":  func() { tools.Define[flat, answer](tools.Read, "things_list", "T", "D") },
		"no title":    func() { tools.Define(tools.Read, "things_list", "", "D", tools.Via(googleNeed(), echo)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			define()
		})
	}
}

func defineWith[In any](name string) tools.Tool {
	return tools.Define(tools.Read, name, "Title", "Description.",
		tools.Via(googleNeed(), func(context.Context, *tools.Client, In) (answer, error) { return answer{}, nil }))
}
