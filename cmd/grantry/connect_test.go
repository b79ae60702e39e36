package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

var (
	linkPattern = regexp.MustCompile(`http://\S+/consent/\S+`)
	csrfPattern = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	movePattern = regexp.MustCompile(`http-equiv="refresh" content="[^"]*url=([^"]+)"`)
)

// TestConnectListRevoke is the terminal's whole way in the sandbox. Nobody serves it between the commands, so
// the one that revokes has to bring the vendor that confirms.
func TestConnectListRevoke(t *testing.T) {
	t.Parallel()
	g := newTerminal(t, "")
	g.connect(t)
	var accounts []accountLine
	if err := json.Unmarshal([]byte(g.run(t, 0, "connections", "list", "--json")), &accounts); err != nil || len(accounts) != 1 {
		t.Fatalf("%d accounts, error %v", len(accounts), err)
	}
	if a := accounts[0]; a.State != "active" || a.Label != "alice@example.com" {
		t.Errorf("the account is %s, %s", a.Label, a.State)
	}
	g.says(t, 0, "state +active(?s:.*)granted by +\\S+(?s:.*)last refresh +\\S+(?s:.*)last error +none\nnext try +none", "connections", "show", "ALICE@example.com")
	g.says(t, 0, "None of 1 account", "connections", "list", "--older-than", "1d")
	g.says(t, 2, "not both", "connections", "revoke", accounts[0].ID, "--provider", "slack")
	g.says(t, 2, "must not be empty", "connections", "revoke", "--provider", "google", "--user", "")
	g.says(t, 2, "longer than nothing", "connections", "revoke", "--older-than=-1h")
	g.says(t, 0, "Nothing to revoke", "connections", "revoke", "--provider", "slack")
	g.says(t, 0, "would revoke a_", "connections", "revoke", "--provider", "google", "--dry-run")
	g.says(t, 0, "Nothing to confirm", "connections", "confirm", "google")
	g.says(t, 0, "here and at google", "connections", "revoke", "--provider", "google")
	g.says(t, 0, "alice@example.com .* revoked", "connections", "list")
}

// TestReapCommand has ages so short that alice's account is idle at once and forgotten soon after; a dry run says both and does neither.
func TestReapCommand(t *testing.T) {
	t.Parallel()
	g := newTerminal(t, "reap: { idle: 1ms, revoked: 1ms }\n")
	g.connect(t)
	for _, v := range []struct{ say, state string }{{"^revoke a_.* alice@example.com .*not used since", "active"}, {"^forget a_.* revoked since", "revoked"}} {
		g.says(t, 0, v.say, "connections", "reap", "--dry-run")
		g.says(t, 0, "state +"+v.state, "connections", "show", "alice@example.com")
		g.says(t, 0, v.say, "connections", "reap")
	}
	g.says(t, 0, "Nothing to reap", "connections", "reap")
	g.says(t, 0, "No accounts", "connections", "list")
}

// connect lets alice connect google.
func (g terminal) connect(t *testing.T) {
	t.Helper()
	out, in := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(t.Context(), g.args("connect", "google", "--no-browser"), streams{out: in, err: io.Discard})
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if link := linkPattern.FindString(lines.Text()); link != "" {
			allowAsAlice(t, link)
		}
	}
	if code := <-done; code != 0 {
		t.Fatalf("connect ended with %d", code)
	}
}

// terminal runs commands in a sandbox of its own.
type terminal []string

func newTerminal(t *testing.T, yaml string) terminal {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "grantry.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return terminal{"--sandbox", "--config", config, "--data-dir", filepath.Join(dir, "data"), "--listen", port.Get(t).Addr(), "--log-level", "error"}
}

func (g terminal) args(command ...string) []string { return append(command, g...) }

func (g terminal) run(t *testing.T, want int, command ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), g.args(command...), streams{out: &out, err: &out}); code != want {
		t.Errorf("grantry %s ended with %d, want %d: %s", strings.Join(command, " "), code, want, &out)
	}
	return out.String()
}

func (g terminal) says(t *testing.T, code int, want string, command ...string) {
	t.Helper()
	if got := g.run(t, code, command...); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("grantry %s says %q, want %q", strings.Join(command, " "), got, want)
	}
}

// allowAsAlice does with a link what a browser would.
func allowAsAlice(t *testing.T, link string) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	page := fetch(t, browser, link, nil)
	csrf := csrfPattern.FindStringSubmatch(page)
	if csrf == nil {
		t.Fatalf("no form at the link: %s", page)
	}
	next := movePattern.FindStringSubmatch(fetch(t, browser, link, url.Values{"csrf": {html.UnescapeString(csrf[1])}, "answer": {"allow"}}))
	if next == nil {
		t.Fatal("Allow does not lead to the vendor")
	}
	if got := fetch(t, browser, html.UnescapeString(next[1]), url.Values{"user": {"alice"}}); !strings.Contains(got, "is connected") {
		t.Fatalf("the vendor's answer ends in %s", got)
	}
}

func fetch(t *testing.T, browser *http.Client, at string, form url.Values) string {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
