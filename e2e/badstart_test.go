package e2e_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFiveMistakes holds that every problem of a config is told at once, with
// its line, and that no secret stands in the message.
func TestFiveMistakes(t *testing.T) {
	t.Parallel()
	h := newHome(t, `lisen: 127.0.0.1:0
public_url: ftp://example.com
connections:
  google:
    provider: goggle
    client_id: x
    client_secret: a-secret-that-was-pasted-here
tools:
  writes: sometimes
access:
  default_ttl: soon
`)
	_, stderr, code := h.run(t, "config", "check")
	if code != 2 {
		t.Errorf("config check ended with %d, want 2", code)
	}
	for _, want := range []string{`"lisen"`, `"listen"`, "public_url", "connections.google.provider", "client_secret", "tools.writes", "access.default_ttl"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the message does not mention %q", want)
		}
	}
	for _, line := range []int{1, 2, 5, 7, 9, 11} {
		if !strings.Contains(stderr, fmt.Sprintf("grantry.yaml:%d:", line)) {
			t.Errorf("the message does not name line %d", line)
		}
	}
	if strings.Contains(stderr, "pasted-here") {
		t.Error("the message repeats the secret")
	}
	if t.Failed() {
		t.Log(stderr)
	}
	if _, again, code := h.run(t, "serve"); code != 2 || !strings.Contains(again, "tools.writes") {
		t.Errorf("serve with this config ended with %d: %s", code, again)
	}
}

// TestHostileFolder starts Grantry inside a repository that a stranger wrote.
func TestHostileFolder(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	asked := make(chan string, 8)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trap := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })}
	go trap.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { trap.Close() })
	hostile := fmt.Sprintf("data_dir: %s\nidentity: { issuer: http://%s, client_id: x }\n", filepath.Join(h.Dir, "cwd", "stolen"), l.Addr())
	for _, name := range []string{"grantry.yaml", "config.yaml", ".grantry.yaml", "grantry.yml"} {
		writeFile(t, filepath.Join(h.Dir, "cwd", name), hostile)
	}
	p := h.start(t, "stdio", "--no-browser", "--listen", "127.0.0.1:0")
	if a := p.exchange(t, initializeRequest()); a.Error != nil {
		t.Fatalf("initialize answered %s", a.show())
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "cwd", "stolen")); err == nil {
		t.Error("the data folder of the hostile config was made")
	}
	select {
	case path := <-asked:
		t.Errorf("the hostile issuer was asked for %s", path)
	default:
	}
}

// TestRefusesToStart holds the starts that must not happen, each with exit
// code 2 or 1 and a sentence that names the cure.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	plain := "listen: 127.0.0.1:0\n"
	for name, c := range map[string]struct {
		prepare func(t *testing.T, h *home)
		args    []string
		code    int
		want    string
	}{
		"a config that others can write": {
			prepare: func(t *testing.T, h *home) { mode(t, h.Config, 0o666) }, args: []string{"config", "check"}, code: 2, want: "chmod",
		},
		"a key that others can read": {
			prepare: func(t *testing.T, h *home) {
				makeVault(t, h)
				mode(t, h.key(), 0o644)
			}, args: []string{"connections", "list"}, code: -1, want: "chmod",
		},
		"a wrong key": {
			prepare: func(t *testing.T, h *home) {
				makeVault(t, h)
				writeFile(t, h.key(), base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n")
			}, args: []string{"connections", "list"}, code: -1, want: "key",
		},
		"a missing key": {
			prepare: func(t *testing.T, h *home) {
				makeVault(t, h)
				if err := os.Remove(h.key()); err != nil {
					t.Fatal(err)
				}
			}, args: []string{"connections", "list"}, code: -1, want: "key",
		},
		"stdio where others sign people in": {
			prepare: func(t *testing.T, h *home) {
				writeFile(t, h.Config, plain+"public_url: http://127.0.0.1:18787\nidentity: { issuer: http://127.0.0.1:9, client_id: x }\n")
			}, args: []string{"stdio", "--no-browser"}, code: 2, want: "http://127.0.0.1:18787/mcp",
		},
		"an unknown flag": {args: []string{"serve", "--no-such-flag"}, code: 2, want: "no-such-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, plain)
			if c.prepare != nil {
				c.prepare(t, h)
			}
			_, stderr, code := h.run(t, c.args...)
			if code != c.code && (c.code != -1 || code == 0) || !strings.Contains(stderr, c.want) {
				t.Errorf("it ended with %d, want %d and %q in:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
}

func mode(t *testing.T, path string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, m); err != nil {
		t.Fatal(err)
	}
}

// key is the default key file.
func (h *home) key() string { return filepath.Join(h.Dir, "config", "grantry", "key") }

// makeVault lets grantry make its vault and key, and checks their modes.
func makeVault(t *testing.T, h *home) {
	t.Helper()
	p := h.start(t, "stdio", "--no-browser")
	p.exchange(t, initializeRequest())
	p.exchange(t, legacyCall(1, "connections_list", map[string]any{})).ok(t)
	if code := p.stop(t); code != 0 {
		t.Fatalf("stdio ended with %d\n%s", code, p.output())
	}
	for _, dir := range []string{h.data(), filepath.Dir(h.key())} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v, want 0700", dir, info, err)
		}
	}
	for _, dir := range []string{h.data(), filepath.Dir(h.key())} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || !entry.IsDir() && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v (%v), want 0600", entry.Name(), info.Mode(), err)
			}
		}
	}
}

// TestEditedTokenEndpoint points an existing grant somewhere else: nothing is
// sent there until a person confirms.
func TestEditedTokenEndpoint(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}))
	newBrowser(t).consent(c.call(t, "calendar_list_events", map[string]any{}).link(t), "alice")
	wantEvents(t, c.call(t, "calendar_list_events", map[string]any{}))
	c.stop(t)

	thief := newRecorder(t, v.emulated.Google)
	writeFile(t, h.Config, strings.ReplaceAll(v.yaml(""), "token: "+v.google.URL, "token: "+thief.URL))
	before := len(v.google.exchanges("/calendar/v3"))
	edited := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}))
	a := edited.call(t, "calendar_list_events", map[string]any{})
	if !a.IsError || a.consent(t).Reason != "connection_changed" {
		t.Errorf("after the edit the call answered %s", a.show())
	}
	if n := len(thief.exchanges("")); n != 0 {
		t.Errorf("the new endpoint was asked %d times", n)
	}
	if after := len(v.google.exchanges("/calendar/v3")); after != before {
		t.Error("the API was called with the old grant")
	}
	if _, stderr, code := h.run(t, "connections", "confirm", "google"); code != 0 {
		t.Fatalf("connections confirm ended with %d: %s", code, stderr)
	}
	wantEvents(t, edited.call(t, "calendar_list_events", map[string]any{}))
}

// TestStrangerOnThePort occupies the port where the pages should be. A vendor
// that needs its exact redirect URI cannot send people back to another port, so
// there is no link; GitHub takes any port of a registered loopback address.
func TestStrangerOnThePort(t *testing.T) {
	t.Parallel()
	v := startVendors(t)
	l, err := net.Listen("tcp", v.listen)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "I am somebody else.") //nolint:errcheck // the other side may have gone
	})}
	go stranger.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { stranger.Close() })
	h := newHome(t, v.yaml("  github: { provider: github, client_id: any, client_secret: env:SLACK_SECRET }\n"), v.secrets()...)
	c := connect(t, h.overStdio(t, clientConfig{SDK: "v2", Era: "legacy", Elicitation: "none"}))
	a := c.call(t, "chat_post_message", map[string]any{"channel": "launch", "text": "hello"})
	if !a.IsError || !strings.Contains(a.Text, "listen") || consentLink.MatchString(a.Text) {
		t.Errorf("with a stranger on the port the call answered %s, want an error that names listen", a.show())
	}
	g := c.call(t, "connections_connect", map[string]any{"connection": "github"})
	if link := g.link(t); strings.HasPrefix(link, v.base) {
		t.Errorf("the link %s leads to the stranger", link)
	}
}

// TestSandboxVaultIsMarked holds that a normal start refuses a sandbox vault
// and the other way round.
func TestSandboxVaultIsMarked(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	h.sandbox(t).stop(t)
	inside := filepath.Join(h.data(), "sandbox")
	if _, stderr, code := h.run(t, "connections", "list", "--data-dir", inside); code == 0 || !strings.Contains(stderr, "sandbox") {
		t.Errorf("a normal start on a sandbox vault ended with %d: %s", code, stderr)
	}
}

// TestShutdownWithOpenStreams holds the ten seconds.
func TestShutdownWithOpenStreams(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "listening-agent"))
	r.initialize(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.MCP, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Mcp-Session-Id", r.session)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream answered %d", resp.StatusCode)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		health, err := http.Get(s.Base + path)
		if err != nil || health.StatusCode != http.StatusOK {
			t.Errorf("%s: %v %v", path, health, err)
		}
		if err == nil {
			health.Body.Close()
		}
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.output())
	}
}
