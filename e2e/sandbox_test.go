package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// sandbox is a running `grantry serve --sandbox` with its control API.
type sandbox struct {
	*server
	home    *home
	control string // base URL of the sandbox's listener
	secret  string
}

// startSandbox serves a fresh sandbox vault on any port.
func startSandbox(t *testing.T, args ...string) *sandbox {
	t.Helper()
	h := newHome(t, "")
	return h.sandbox(t, args...)
}

func (h *home) sandbox(t *testing.T, args ...string) *sandbox {
	t.Helper()
	s := &sandbox{home: h, server: h.serve(t, append([]string{"--sandbox", "--listen", "127.0.0.1:0"}, args...)...)}
	s.find(t)
	return s
}

// find reads the sandbox's address and control secret from stdout.
func (s *sandbox) find(t *testing.T) {
	t.Helper()
	at, err := url.Parse(s.after(t, "Sandbox:"))
	if err != nil {
		t.Fatal(err)
	}
	s.control, s.secret = at.Scheme+"://"+at.Host, s.after(t, "Control:")
}

// ask calls the control API.
func (s *sandbox) ask(t *testing.T, method, path string, body, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.control+"/control/"+path, strings.NewReader(marshal(t, body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("asking the sandbox: %v", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s /control/%s answered %d %s (%v)", method, path, resp.StatusCode, text, err)
	}
	if into != nil {
		unmarshal(t, string(text), into)
	}
}

// token is an access token for /mcp of user at the MCP client agent.
func (s *sandbox) token(t *testing.T, user, agent string) string {
	t.Helper()
	var out struct {
		Token string `json:"access_token"`
	}
	s.ask(t, http.MethodPost, "token", map[string]string{"user": user, "client_id": agent}, &out)
	return out.Token
}

// vendorGrant is the truth about one person's grant at one vendor.
type vendorGrant struct {
	Vendor, User string
	Live         bool
	Spent        int
}

// grants answers the truth, as the vendors know it.
func (s *sandbox) grants(t *testing.T) []vendorGrant {
	t.Helper()
	var out []vendorGrant
	s.ask(t, http.MethodGet, "grants", map[string]string{}, &out)
	return out
}

// fault makes a vendor misbehave: {vendor, kind, times, delay_ms, …}.
func (s *sandbox) fault(t *testing.T, fault map[string]any) {
	t.Helper()
	s.ask(t, http.MethodPost, "faults", fault, nil)
}

// counts answers how many requests each vendor's endpoint has seen.
func (s *sandbox) counts(t *testing.T) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	s.ask(t, http.MethodGet, "requests", map[string]string{}, &out)
	return out
}

// kind is one way to be an MCP client.
type kind struct{ sdk, era, transport, elicitation string }

func (k kind) String() string {
	return strings.Join([]string{k.sdk, k.era, k.transport, k.elicitation}, "/")
}

// everyClient is each SDK over each transport in each era that it speaks.
func everyClient(elicitation string) []kind {
	var out []kind
	for _, transport := range []string{"http", "stdio"} {
		out = append(out, kind{"v1", "legacy", transport, elicitation}, kind{"v2", "legacy", transport, elicitation}, kind{"v2", "modern", transport, elicitation})
	}
	return out
}

// inSandbox connects a client of this kind, for alice, to a fresh sandbox:
// over HTTP with a token, over stdio by starting `grantry stdio --sandbox`.
func inSandbox(t *testing.T, k kind) *client {
	t.Helper()
	config := clientConfig{SDK: k.sdk, Era: k.era, Elicitation: k.elicitation}
	if k.transport == "http" {
		s := startSandbox(t)
		config.URL, config.Token = s.MCP, s.token(t, "alice", "e2e-client")
	} else {
		config = newHome(t, "").overStdio(t, config, "--sandbox", "--listen", "127.0.0.1:0")
	}
	return connect(t, config)
}

// events is what calendar_list_events answers.
type events struct {
	Events []struct {
		ID      string          `json:"id"`
		Title   string          `json:"title"`
		Summary string          `json:"summary"`
		Start   json.RawMessage `json:"start"`
	} `json:"events"`
	Cursor string `json:"next_cursor"`
}

// wantEvents fails the test unless the answer holds events.
func wantEvents(t *testing.T, a answer) events {
	t.Helper()
	var out events
	a.structured(t, &out)
	if len(out.Events) == 0 {
		t.Fatalf("the calendar is empty: %s", a.Result)
	}
	if a.Text == "" {
		t.Errorf("the result has no text beside its structured content")
	}
	return out
}

// within fails the test if more time than d has passed since then.
func within(t *testing.T, since time.Time, d time.Duration, what string) {
	t.Helper()
	if took := time.Since(since); took > d {
		t.Errorf("%s took %s, more than %s", what, took.Round(time.Millisecond), d)
	}
}
