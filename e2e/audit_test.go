package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestAuditOfADay goes the usual way and a few others with the real program, and
// reads what its audit says: every step, and neither token, argument nor address.
func TestAuditOfADay(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	token := s.token(t, "alice", "agent-one")
	alice := newRaw(t, s.MCP, token)
	const argument = "a-title-that-is-nobodys-business"
	first := alice.modern(t, "calendar_list_events", map[string]any{"query": argument}, nil, "url").final(t)
	_, link := inputRequest(t, first)
	newBrowser(t).consent(link, "alice")
	wantEvents(t, alice.modern(t, "calendar_list_events", map[string]any{"limit": 3}, nil, "url").final(t))
	alice.modern(t, "connections_list", map[string]any{}, nil, "url").final(t)
	alice.post(t, marshal(t, initializeRequest()), map[string]string{"Host": "evil.example"})
	alice.post(t, marshal(t, initializeRequest()), map[string]string{"Origin": "https://evil.example"})
	stranger := newRaw(t, s.MCP, "canary-of-a-stranger")
	for range 50 {
		if w := stranger.modern(t, "connections_list", map[string]any{}, nil, "url"); w.Status != http.StatusUnauthorized {
			t.Fatalf("a stranger was answered %d", w.Status)
		}
	}
	out, errs, code := s.home.run(t, "audit", "export", "--sandbox")
	if code != 0 {
		t.Fatalf("export: %d, %s", code, errs)
	}
	newCanary(t, token, "canary-of-a-stranger", argument).clean(t, "the export", []byte(out))
	kinds := map[string]int{}
	for line := range strings.Lines(out) {
		var e struct{ Kind, Reason, Result string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		kinds[e.Kind+" "+e.Reason]++
	}
	for _, want := range []string{
		"process.started ", "config.changed ", "tools.listed ", "token.refused not_connected", "ticket.opened not_connected", "tool.called not_connected",
		"person.signed_in ", "ticket.started not_connected", "grant.stored not_connected", "access.granted not_connected", "ticket.done not_connected",
		"token.released ", "request.refused host", "request.refused origin", "audit.exported ",
	} {
		if kinds[want] == 0 {
			t.Errorf("there is no %q in %v", want, kinds)
		}
	}
	refused := regexp.MustCompile(`"kind":"auth.refused"`).FindAllString(out, -1)
	if kinds["tool.called "] != 2 || len(refused) < 1 || len(refused) > 2 {
		t.Errorf("%d calls, %d refusals of 50: %v", kinds["tool.called "], len(refused), kinds)
	}
	if out, errs, code := s.home.run(t, "audit", "verify", "--sandbox"); code != 0 || !strings.Contains(out, "all whole") {
		t.Errorf("verify: %d, %s%s", code, out, errs)
	}
}
