package mcp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/grantry/grantry/mcp"
)

// fuzzed is a server without a network in between; alice has an account at Google.
func fuzzed(f *testing.F) (*world, http.Handler) {
	f.Helper()
	w := &world{vault: newFakeVault(f), ran: make(chan string, 1000)}
	w.vault.give(alice.Caller, "google", calendarScope)
	var err error
	w.server, err = mcp.New(mcp.Config{
		Open: func(context.Context) (mcp.Vault, error) { return w.vault, nil }, Tools: w.tools(), PublicURL: publicURL,
		Connections: map[string]string{"google": "google"}, Verifier: tokens{"alice": alice}, Records: w.vault.records(), Version: "test",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(w.server.Shutdown)
	return w, w.server.Handler()
}

// ask posts a modern message as alice; the context is over at once, so that nothing waits.
func (w *world) ask(t *testing.T, h http.Handler, text string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if strings.Contains(text, "subscriptions/listen") {
		cancel()
	}
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, publicURL+"/mcp", strings.NewReader(text))
	r.Header.Set("Authorization", "Bearer alice")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
	for name, value := range header {
		r.Header[name] = []string{value}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	w.vault.mu.Lock()
	w.vault.audited, w.vault.requests = nil, nil
	w.vault.mu.Unlock()
	if strings.Contains(rec.Body.String(), canary) {
		t.Errorf("a token is in the answer to %q", text)
	}
	return rec
}

const fuzzMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}`

// FuzzEnvelope: what runs, runs for every reading of the message. A parser that
// takes names in any case, or the first of two, or the last, sees the same method, id and tool (R40).
func FuzzEnvelope(f *testing.F) {
	w, h := fuzzed(f)
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_read","arguments":{},` + fuzzMeta + `}}`
	for _, seed := range []string{
		call, discover, `{}`, `[]`, `null`, `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
		strings.Replace(call, `"name"`, `"Name":"test_write","name"`, 1), strings.Replace(call, `"name"`, `"name":"test_write","name"`, 1),
		strings.Replace(call, `"id":1`, `"id":1,"ID":2`, 1), strings.Replace(call, `"method"`, `"method\u0000":"x","method"`, 1),
		strings.Replace(call, `"arguments":{}`, `"arguments":`+strings.Repeat(`{"a":`, 70)+`1`+strings.Repeat(`}`, 70), 1),
		strings.Replace(call, `"params"`, `"ParamS":{},"params"`, 1), call + call, call[:40], "\xff" + call, strings.Replace(call, "1", "1e400", 1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		method, id, name := lastOf(raw, "method"), lastOf(raw, "id"), ""
		if params := lastOf(raw, "params"); params != nil {
			name = text(lastOf(params, "name"))
		}
		rec := w.ask(t, h, string(raw), map[string]string{"Mcp-Method": text(method), "Mcp-Name": name})
		ran := ""
		if len(w.ran) > 0 {
			ran = <-w.ran
		}
		if rec.Code >= 500 {
			t.Errorf("HTTP %d for %q", rec.Code, raw)
		}
		if ran != "" && (ran != name || text(method) != "tools/call") {
			t.Errorf("%q ran %s, and says %s of %s", raw, ran, text(method), name)
		}
		var folded struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		if ran == "" {
			return
		}
		if json.Unmarshal(raw, &folded) != nil || folded.Method != "tools/call" || folded.Params.Name != ran || !bytes.Equal(folded.ID, id) {
			t.Errorf("%q ran %s; a parser that folds case reads %+v", raw, ran, folded)
		}
	})
}

// lastOf is a member of an object by its exact name, the last of several, nil without one.
func lastOf(raw []byte, name string) json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all[name]
}

func text(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// FuzzHeaderSentinel: a call runs only when the headers, with =?base64?…?= taken
// for what it stands for, say what the body says (R39).
func FuzzHeaderSentinel(f *testing.F) {
	w, h := fuzzed(f)
	for _, seed := range [][2]string{
		{"tools/call", "test_read"},
		{"tools/call", "=?base64?dGVzdF9yZWFk?="},
		{"tools/call", "=?base64?dGVzdF93cml0ZQ==?="},
		{"tools/call", "=?BASE64?dGVzdF9yZWFk?="},
		{"tools/call", "=?base64?dGVzdF9yZWFk"},
		{"tools/call", "=?base64?dGVz dF9yZWFk?="},
		{"Tools/Call", "test_read"},
		{"tools/list", "test_read"},
		{"", ""},
		{"=?base64?dG9vbHMvY2FsbA==?=", "test_read"},
		{"tools/call", "test_read\x00"},
		{"tools/call", " test_read "},
		{"tools/call", "=?base64??="},
	} {
		f.Add(seed[0], seed[1])
	}
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_read","arguments":{},` + fuzzMeta + `}}`
	f.Fuzz(func(t *testing.T, method, name string) {
		rec := w.ask(t, h, call, map[string]string{"Mcp-Method": method, "Mcp-Name": name})
		ran := len(w.ran) > 0
		for len(w.ran) > 0 {
			<-w.ran
		}
		agrees := strings.TrimSpace(method) == "tools/call" && sentinel(strings.TrimSpace(name)) == "test_read"
		if ran && !agrees || !ran && rec.Code == http.StatusOK {
			t.Errorf("Mcp-Method %q and Mcp-Name %q: ran=%t, HTTP %d %s", method, name, ran, rec.Code, rec.Body)
		}
	})
}

// sentinel reads a header value as the transport page of 2026-07-28 says.
func sentinel(v string) string {
	inner, ok := strings.CutPrefix(v, "=?base64?")
	if inner, end := strings.CutSuffix(inner, "?="); ok && end {
		raw, err := base64.StdEncoding.DecodeString(inner)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	return v
}

// FuzzRequestState: no state is taken for one but what the vault has sealed, in just
// the spelling in which it was given (R16). The processes of a fuzzing run share a key, so each takes the others' states.
func FuzzRequestState(f *testing.F) {
	w, h := fuzzed(f)
	call := func(more string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slack_read","arguments":{},` + more + fuzzMeta + `}}`
	}
	header := map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "slack_read"}
	var first struct{ Result toolResult }
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, publicURL+"/mcp", strings.NewReader(call("")))
	r.Header = http.Header{
		"Authorization": {"Bearer alice"}, "Content-Type": {"application/json"}, "Mcp-Protocol-Version": {"2026-07-28"},
		"Mcp-Method": {"tools/call"}, "Mcp-Name": {"slack_read"},
	}
	h.ServeHTTP(rec, r)
	if json.Unmarshal(rec.Body.Bytes(), &first) != nil || first.Result.RequestState == "" {
		f.Fatalf("no state: %s", rec.Body)
	}
	state := first.Result.RequestState
	for _, seed := range []string{state, state + "A", state[1:], state[:len(state)-1], strings.ToUpper(state), "e30", "", "A", state + "\n", state + "="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		if _, err := w.vault.OpenState("mcp/request-state/v1", given); err == nil || given == "" {
			return // one, and none: the call goes on
		}
		quoted, err := json.Marshal(given)
		if err != nil || text(quoted) != given {
			return // JSON holds no such text
		}
		rec := w.ask(t, h, call(fmt.Sprintf(`"requestState":%s,"inputResponses":{"consent":{"action":"decline"}},`, quoted)), header)
		var got struct{ Result toolResult }
		if json.Unmarshal(rec.Body.Bytes(), &got) != nil || !got.Result.IsError || !strings.Contains(got.Result.text(), "requestState is not one") {
			t.Errorf("the state %q is taken: %s", given, rec.Body)
		}
		w.vault.mu.Lock()
		defer w.vault.mu.Unlock()
		if len(w.vault.backOff) > 0 {
			t.Errorf("the state %q has made the vault note a decline", given)
		}
	})
}
