package e2e_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// answer is how a tool call ended: a result, or a JSON-RPC error.
type answer struct {
	Result  json.RawMessage
	Error   *rpcError
	IsError bool
	Text    string // all text content
	Type    string // resultType; "" in the 2025 era
	State   string // requestState
	content json.RawMessage
	meta    map[string]json.RawMessage
}

// consent is what stands in _meta of a result that needs a person.
type consent struct {
	URL        string    `json:"url"`
	Connection string    `json:"connection"`
	Scopes     []string  `json:"scopes"`
	Reason     string    `json:"reason"`
	ExpiresAt  time.Time `json:"expires_at"`
}

func newAnswer(t *testing.T, result json.RawMessage, failed *rpcError) answer {
	t.Helper()
	a := answer{Result: result, Error: failed}
	if failed != nil || len(result) == 0 {
		return a
	}
	var body struct {
		Content    []struct{ Type, Text string } `json:"content"`
		IsError    bool                          `json:"isError"`
		Structured json.RawMessage               `json:"structuredContent"`
		Meta       map[string]json.RawMessage    `json:"_meta"`
		Type       string                        `json:"resultType"`
		State      string                        `json:"requestState"`
	}
	unmarshal(t, string(result), &body)
	a.IsError, a.content, a.meta, a.Type, a.State = body.IsError, body.Structured, body.Meta, body.Type, body.State
	for _, c := range body.Content {
		a.Text += c.Text
	}
	return a
}

// ok fails the test unless the call brought data.
func (a answer) ok(t *testing.T) answer {
	t.Helper()
	switch {
	case a.Error != nil:
		t.Fatalf("the call failed with %s %s: %s", a.Error.Code, a.Error.Message, a.Error.Data)
	case a.IsError:
		t.Fatalf("the call answered an error result: %s", a.Text)
	case a.Type == "input_required":
		t.Fatalf("the call wants a person: %s", a.Result)
	}
	return a
}

// structured reads the structured content.
func (a answer) structured(t *testing.T, into any) {
	t.Helper()
	a.ok(t)
	if len(a.content) == 0 {
		t.Fatalf("the result has no structured content: %s", a.Result)
	}
	unmarshal(t, string(a.content), into)
}

// consent answers what _meta says about the person's part (DESIGN 4, row 3).
func (a answer) consent(t *testing.T) consent {
	t.Helper()
	raw, ok := a.meta["io.github.grantry/consent"]
	if !ok {
		t.Fatalf("the result has no _meta[io.github.grantry/consent]: %s", a.Result)
	}
	var c consent
	unmarshal(t, string(raw), &c)
	return c
}

// dead says whether the call wants its grant renewed because the vendor takes
// it no longer. An invalid_grant does not say why (RFC 6749 section 5.2).
func (a answer) dead(t *testing.T) bool {
	t.Helper()
	reason := a.consent(t).Reason
	return a.IsError && (reason == "revoked" || reason == "expired")
}

// elicited is one entry of a -32042's data.
type elicited struct {
	Mode    string `json:"mode"`
	ID      string `json:"elicitationId"`
	URL     string `json:"url"`
	Message string `json:"message"`
}

// urlRequired answers the elicitations of a -32042 (DESIGN 4, row 2).
func (a answer) urlRequired(t *testing.T) []elicited {
	t.Helper()
	if a.Error == nil || string(a.Error.Code) != "-32042" {
		t.Fatalf("the call did not answer -32042 but %s", a.show())
	}
	var data struct {
		Elicitations []elicited `json:"elicitations"`
	}
	unmarshal(t, string(a.Error.Data), &data)
	if len(data.Elicitations) == 0 {
		t.Fatalf("a -32042 without elicitations: %s", a.Error.Data)
	}
	return data.Elicitations
}

// show is the whole answer, for messages and for the canary scan.
func (a answer) show() string {
	if a.Error == nil {
		return string(a.Result)
	}
	out, _ := json.Marshal(a.Error)
	return string(out)
}

var consentLink = regexp.MustCompile(`(?m)^\s*(https?://\S+/consent/\S+)\s*$`)

// link answers the link that stands on a line of its own in the text.
func (a answer) link(t *testing.T) string {
	t.Helper()
	m := consentLink.FindStringSubmatch(a.Text)
	if m == nil {
		t.Fatalf("no link on a line of its own in:\n%s", a.show())
	}
	return strings.TrimSpace(m[1])
}
