package tools_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/tooltest"
)

// lookTool writes, says what it would change by asking the vendor, and what it did.
func lookTool(line string) tools.Tool {
	look := func(ctx context.Context, c *tools.Client, in flat) ([]tools.Change, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://www.googleapis.com/drive/v3/things", nil)
		if err != nil {
			return nil, err
		}
		now, err := tools.JSON[map[string]string](c, req)
		return []tools.Change{{Field: "query", Was: now["query"], Becomes: in.Query}}, err
	}
	return tools.Define(tools.Write, "things_update", "Update", "Updates.",
		tools.Via(googleNeed(), echo).Preview(look),
		tools.Summarize(func(in flat, out answer) string { return line + in.Query }),
	)
}

func TestSummaryIsOneShortLine(t *testing.T) {
	t.Parallel()
	src := tooltest.NewSource(t, "google", http.NotFoundHandler())
	for line, want := range map[string]string{
		"to ":                       "to #a",
		"to\n\x1b[31m\u202e ":       "to [31m #a",
		strings.Repeat("é", 200):    strings.Repeat("é", 119) + "…",
		" \t\u2028to\u00a0\u200b\r": "to #a",
	} {
		res, err := lookTool(line).Call(t.Context(), src, json.RawMessage(`{"query":"#a"}`))
		if err != nil || res.Summary != want || strings.Contains(res.Text, "to") {
			t.Errorf("%q: summary %q in %+v, %v", line, res.Summary, res, err)
		}
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	asked := 0
	src := tooltest.NewSource(t, "google", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if asked > 1 {
			http.Error(w, `{"error":{"message":"canary"}}`, http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"query":"old"}`))
	}))
	got, err := lookTool("").Preview(t.Context(), src, json.RawMessage(`{"query":"new"}`))
	if diff := cmp.Diff([]tools.Change{{Field: "query", Was: "old", Becomes: "new"}}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := lookTool("").Preview(t.Context(), src, json.RawMessage(`{"query":"new"}`)); err == nil || err.Error() != "google has nothing of that name, or this account may not see it (HTTP 404)" {
		t.Errorf("a record that is not there: %v", err)
	}
	if got, err := echoTool().Preview(t.Context(), tooltest.ForbiddenSource{T: t}, json.RawMessage(`{"query":"ab"}`)); got != nil || err != nil {
		t.Errorf("a tool without a preview: %v, %v", got, err)
	}
}

// What nobody needs to be asked about is refused without a token.
func TestCheck(t *testing.T) {
	t.Parallel()
	if account, err := lookTool("").Check(json.RawMessage(`{"query":"a","account":"work"}`)); err != nil || account != "work" {
		t.Errorf("account %q, %v", account, err)
	}
	for _, args := range []string{`{}`, `{"query":7}`, `{"query":"a","approval":"ap_1"}`} {
		if _, err := lookTool("").Check(json.RawMessage(args)); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}

func TestApprovalArgument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, id, rest, says string }{
		{args: `{"query":"a"}`, rest: `{"query":"a"}`},
		{args: `{"approval":"ap_1x"}`, id: "ap_1x"},
		{args: `{"approval":"ap_1x","query":"a","account":"b"}`, id: "ap_1x", rest: `{"account":"b","query":"a"}`},
		{args: `{"approval":7}`, says: "must be a string"},
		{args: `{"approval":null}`, says: "must be a string"},
		{args: `{"approval":""}`, says: "must not be empty"},
		{args: `{"approval":"t_1234"}`, says: "must match"},
		{args: `{"approval":"ap_1x","approval":"ap_2x"}`, says: "given twice"},
		{args: `[]`, rest: `[]`},
	} {
		id, rest, err := lookTool("").Approval(json.RawMessage(c.args))
		if id != c.id || string(rest) != c.rest || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q %s %v", c.args, id, rest, err)
		}
	}
	if id, rest, err := echoTool().Approval(json.RawMessage(`{"approval":"ap_1x"}`)); id != "" || string(rest) != `{"approval":"ap_1x"}` || err != nil {
		t.Errorf("a reader: %q %s %v", id, rest, err)
	}
	var s struct {
		Required   []string
		If, Else   struct{ Required []string }
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(lookTool("").Input, &s); err != nil || s.Required != nil || s.Properties["approval"] == nil ||
		!cmp.Equal(s.If.Required, []string{"approval"}) || !cmp.Equal(s.Else.Required, []string{"query"}) {
		t.Errorf("%v: input schema %s", err, lookTool("").Input)
	}
}

type byField struct {
	Fields map[string]tools.Value `json:"fields" schema:"maxProperties=2,maxLength=5"`
}

// A map of fields takes plain values, as they were written.
func TestValuesByName(t *testing.T) {
	t.Parallel()
	var got byField
	tool := tools.Define(tools.Read, "things_list", "List", "Lists.",
		tools.Via(googleNeed(), func(_ context.Context, _ *tools.Client, in byField) (answer, error) {
			got = in
			return answer{Items: []string{}}, nil
		}))
	src := tooltest.NewSource(t, "google", http.NotFoundHandler())
	for args, want := range map[string]string{`{"a":"x\ny","b":1.50}`: "x\ny 1.50", `{"a":true,"b":null}`: "true ", `{"a":"null"}`: "null "} {
		tooltest.Call[answer](t, tool, src, `{"fields":`+args+`}`)
		raw, err := json.Marshal(got.Fields)
		if text := got.Fields["a"].Text() + " " + got.Fields["b"].Text(); text != want || string(raw) != args || err != nil {
			t.Errorf("%s: %q, %s, %v", args, text, raw, err)
		}
	}
	tooltest.Refuses(t, tool, []tooltest.Mistake{
		{Args: `{"fields":{"a":1,"b":2,"c":3}}`, Path: "fields", Says: "at most 2"},
		{Args: `{"fields":{"a":{}}}`, Path: "fields.a", Says: "not an object"},
		{Args: `{"fields":{"a":[1]}}`, Path: "fields.a", Says: "not a list"},
		{Args: `{"fields":{"a b":"123456"}}`, Path: `fields."a b"`, Says: "at most 5"},
		{Args: `{"fields":{"a":1e999}}`, Path: "fields.a", Says: "too large"},
		{Args: `{"fields":[]}`, Path: "fields", Says: "must be an object"},
	})
}
