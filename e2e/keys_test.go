package e2e_test

import (
	"regexp"
	"strings"
	"testing"
)

var keyID = regexp.MustCompile(`[0-9a-f]{16}`)

// keys runs `grantry keys …` in this home's sandbox and answers what it printed.
func (h *home) keys(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := h.run(t, append([]string{"keys", "--sandbox"}, args...)...)
	if code != 0 {
		t.Fatalf("keys %v ended with %d: %s", args, code, errs)
	}
	return out
}

// TestKeyRotationUnderFIPS rotates the vault's key while it serves, with nothing
// but the FIPS 140-3 module: no call fails, and the new key alone opens the vault (R74).
func TestKeyRotationUnderFIPS(t *testing.T) {
	t.Parallel()
	h := newHome(t, "", "GODEBUG=fips140=only")
	s := h.sandbox(t)
	call := func() answer {
		t.Helper()
		config := clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none", URL: s.MCP, Token: s.token(t, "alice", "e2e-client")}
		return connect(t, config).call(t, "calendar_list_events", map[string]any{})
	}
	newBrowser(t).consent(call().link(t), "alice")
	wantEvents(t, call())

	first := keyID.FindString(h.keys(t, "status"))
	next := keyID.FindString(h.keys(t, "add"))
	if first == "" || next == "" || first == next {
		t.Fatalf("keys %q and %q", first, next)
	}
	h.keys(t, "activate", next) // waits for the server to learn it
	wantEvents(t, call())
	if out := h.keys(t, "rotate"); !strings.Contains(out, "keys wrapped under key "+next) {
		t.Errorf("rotate: %s", out)
	}
	h.keys(t, "retire", first)
	wantEvents(t, call())
	status := h.keys(t, "status")
	if !regexp.MustCompile(next+` +active +[0-9]+ +all 1`).MatchString(status) || strings.Contains(status, first) {
		t.Errorf("status:\n%s", status)
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	if out := h.keys(t, "status"); !strings.Contains(out, "none is running") {
		t.Errorf("the server is still listed:\n%s", out)
	}
}
