package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestBadArguments holds that nonsense gets a clear error and never reaches a
// vendor.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "careless-agent"))
	r.initialize(t)
	newBrowser(t).consent(r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t), "alice")
	before := s.counts(t)["google"]["api"]
	if a := r.legacy(t, "no_such_tool", map[string]any{}).final(t); a.Error == nil || string(a.Error.Code) != "-32602" {
		t.Errorf("an unknown tool answered %s, want -32602", a.show())
	}
	for name, args := range map[string]map[string]any{
		"a number for a text":  {"query": 7},
		"a text for a number":  {"limit": "many"},
		"a negative limit":     {"limit": -1},
		"an unknown argument":  {"colour": "blue"},
		"not a time":           {"from": "the day before yesterday"},
		"an endless query":     {"query": strings.Repeat("x", 200_000)},
		"an unknown account":   {"account": "nobody@example.com"},
		"a foreign account id": {"account": "acc_00000000000000000000000000"},
		"an invented cursor":   {"cursor": "../../etc/passwd"},
	} {
		a := r.legacy(t, "calendar_list_events", args).final(t)
		if a.Error == nil && !a.IsError {
			t.Errorf("%s: answered %s", name, a.show())
			continue
		}
		if text := a.show(); len(text) > 3000 || consentLink.MatchString(a.Text) {
			t.Errorf("%s: the error is %d bytes long or holds a link: %.400s", name, len(text), text)
		}
	}
	if after := s.counts(t)["google"]["api"]; after > before+1 {
		t.Errorf("nonsense reached the vendor's API %d times", after-before)
	}
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// TestTwoAccountsAndNoneNamed holds "never a guess".
func TestTwoAccountsAndNoneNamed(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "modern", Elicitation: "none"}))
	newBrowser(t).consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	p := h.start(t, "connect", "google", "--no-browser")
	newBrowser(t).consent(p.link(t), "bob")
	if code := p.wait(t, patience); code != 0 {
		t.Fatalf("connect ended with %d\n%s", code, p.output())
	}

	a := c.call(t, "calendar_list_events", map[string]any{})
	for _, label := range []string{"alice@example.com", "bob@example.com"} {
		if !a.IsError || !strings.Contains(a.Text, label) || consentLink.MatchString(a.Text) {
			t.Errorf("with two accounts the call answered %s, want an error that lists %s", a.show(), label)
		}
	}
	got := wantEvents(t, c.call(t, "calendar_list_events", map[string]any{"account": "alice@example.com"}))
	if got.Events[0].ID != "evt_review" {
		t.Errorf("alice's account answered %+v", got)
	}
}

// TestVendorTroubles holds what a person reads when the vendor misbehaves,
// and that nothing is lost.
func TestVendorTroubles(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "unlucky-agent"))
	r.initialize(t)
	b := newBrowser(t)
	list := func() answer { return r.legacy(t, "calendar_list_events", map[string]any{}).final(t) }

	// A token endpoint whose answer is not JSON, then one that is down: the
	// visit fails, the link still works.
	link := list().link(t)
	s.fault(t, map[string]any{"vendor": "google", "kind": "truncate"})
	if p := b.consent(link, "alice"); p.Status < 400 {
		t.Errorf("a broken token answer ended with %d:\n%s", p.Status, p.text())
	}
	s.fault(t, map[string]any{"vendor": "google", "kind": "status", "status": 503, "endpoint": "token"})
	if p := b.consent(link, "alice"); p.Status < 400 {
		t.Errorf("a token endpoint that is down ended with %d:\n%s", p.Status, p.text())
	}
	if p := b.consent(link, "alice"); p.Status != http.StatusOK {
		t.Fatalf("after two failures the link answered %d:\n%s", p.Status, p.text())
	}
	wantEvents(t, list())

	s.fault(t, map[string]any{"vendor": "google", "kind": "status", "status": 500, "times": 20, "endpoint": "api"})
	if a := list(); !a.IsError || consentLink.MatchString(a.Text) {
		t.Errorf("an API that is down answered %s, want an error without a link", a.show())
	}
	s.ask(t, http.MethodDelete, "faults", map[string]any{}, nil)
	wantEvents(t, list())

	s.fault(t, map[string]any{"vendor": "google", "kind": "revoke"})
	a := list()
	if !a.dead(t) {
		t.Fatalf("after a revocation at the vendor the call answered %s", a.show())
	}
	b.consent(a.link(t), "alice")
	wantEvents(t, list())
}

// TestUnderScoped lets the person grant less than the tool needs.
func TestUnderScoped(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "frugal-agent"))
	r.initialize(t)
	s.fault(t, map[string]any{"vendor": "google", "kind": "narrow_scopes"})
	b := newBrowser(t)
	link := r.legacy(t, "calendar_list_events", map[string]any{}).final(t).link(t)
	if p := b.consent(link, "alice"); p.Status < 400 {
		t.Errorf("granting too little ended with %d:\n%s", p.Status, p.text())
	}
	if p := b.consent(link, "alice"); p.Status != http.StatusOK {
		t.Errorf("the second try ended with %d:\n%s", p.Status, p.text())
	}
	wantEvents(t, r.legacy(t, "calendar_list_events", map[string]any{}).final(t))
}

// TestForeignOriginAndHost holds the checks in front of /mcp.
func TestForeignOriginAndHost(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "rebound-agent"))
	hello := marshal(t, initializeRequest())
	for name, header := range map[string]map[string]string{
		"a foreign origin": {"Origin": "https://evil.example"},
		"a null origin":    {"Origin": "null"},
		"a foreign host":   {"Host": "evil.example"},
	} {
		if w := r.post(t, hello, header); w.Status != http.StatusForbidden && w.Status != http.StatusMisdirectedRequest {
			t.Errorf("%s was answered %d: %.200s", name, w.Status, w.Body)
		}
	}
	if w := r.post(t, hello, map[string]string{"Origin": s.Base}); w.Status != http.StatusOK {
		t.Errorf("our own origin was answered %d: %.200s", w.Status, w.Body)
	}
	big := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"pad":"` + strings.Repeat("x", 5<<20) + `"}}`
	if w := r.post(t, big, nil); w.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 5 MiB was answered %d, want 413", w.Status)
	}
}
