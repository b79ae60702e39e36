package sandbox_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/grantry/grantry/tools/sandbox"
)

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	a := newWorld(t, file)
	got := a.connect("google", "alice", "openid "+gcal, "access_type", "offline")
	sl := a.connect("slack", "bob", slackScopes)
	a.method("chat.postMessage", str(sl, "authed_user", "access_token"), url.Values{"channel": {"#eng"}, "text": {"before the restart"}})
	client := a.publicClient()
	back := a.click(a.box.Issuer().Authorization, mcpRequest(client, loop), "Sign in as alice")
	token := str(a.postJSON(a.base+"/control/token", a.box.ControlSecret(), map[string]any{"user": "alice", "client_id": "c"}).object(t), "access_token")
	a.fault(map[string]any{"vendor": "salesforce", "kind": "status"})
	// No Close: what was answered is on disk already.

	b := newWorld(t, file)
	for _, vendor := range []string{"google", "slack", "salesforce"} {
		want(t, vendor+" secret", b.vendor(vendor).ClientSecret, a.vendor(vendor).ClientSecret)
	}
	want(t, "issuer secret", b.box.Issuer().ClientSecret, a.box.Issuer().ClientSecret)
	want(t, "access token", b.get(b.calendarURL("primary", nil), str(got, "access_token")).status, http.StatusOK)
	want(t, "refresh token", b.refresh("google", str(got, "refresh_token")).status, http.StatusOK)
	posts := list(b.method("conversations.history", str(sl, "authed_user", "access_token"), url.Values{"channel": {"C07SBXENG01"}}), "messages")
	want(t, "posted message", str(posts[0], "text"), "before the restart")
	want(t, "code of a registered client", b.issuerToken(codeForm(client, loop, back.Get("code"))).status, http.StatusOK)
	_, claims := b.claims(token, b.box.Issuer().JWKS, jose.ES256)
	want(t, "the issuer's key", str(claims, "email"), "alice@example.com")
	b.claims(str(got, "id_token"), b.vendor("google").JWKS, jose.RS256)
	want(t, "grants", len(b.grants()), 2)
	want(t, "fault", b.token("salesforce", url.Values{}).status, http.StatusServiceUnavailable)
}

// Processes that start at once agree on the client secrets, and one that only reads writes nothing.
func TestStartingAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sandbox.json")
	secrets := make([]string, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			box, err := sandbox.New(sandbox.Config{BaseURL: "http://127.0.0.1:8788", PublicURL: public, StateFile: file})
			if err != nil {
				t.Error(err)
				return
			}
			r, _ := box.Vendor("slack")
			secrets[i] = r.ClientSecret
		})
	}
	wg.Wait()
	for _, s := range secrets {
		if s == "" || s != secrets[0] {
			t.Fatal("two processes do not know the same client secret")
		}
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	newWorld(t, file)
	after, err := os.Stat(file)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("reading wrote the file: %v", err)
	}
}

func TestStateFileShowsNoToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "sandbox.json")
	w := newWorld(t, file)
	got := w.connect("google", "alice", gcal, "access_type", "offline")
	back := w.click(w.vendor("google").Authorization, w.params("google", gcal), "Allow as bob")
	if err := w.box.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"access token": str(got, "access_token"), "refresh token": str(got, "refresh_token"), "code": back.Get("code"),
		"client secret": w.vendor("google").ClientSecret, "control secret": w.box.ControlSecret(),
	} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the %s stands in the state file", name)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "sandbox.json")
	if err := os.WriteFile(broken, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := sandbox.Config{BaseURL: "http://127.0.0.1:8788", PublicURL: public}
	for name, change := range map[string]func(*sandbox.Config){
		"no base":        func(c *sandbox.Config) { c.BaseURL = "" },
		"trailing slash": func(c *sandbox.Config) { c.BaseURL += "/" },
		"no scheme":      func(c *sandbox.Config) { c.PublicURL = "127.0.0.1:8787" },
		"broken state":   func(c *sandbox.Config) { c.StateFile = broken },
		"no folder":      func(c *sandbox.Config) { c.StateFile = filepath.Join(broken, "x") },
	} {
		cfg := good
		change(&cfg)
		if _, err := sandbox.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	box, err := sandbox.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := box.Vendor("github"); known {
		t.Error("there is no fake GitHub")
	}
	if _, known := box.Vendor("issuer"); known {
		t.Error("the issuer is no vendor")
	}
}

func TestRegistrationPrintsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("slack")
	for _, printed := range []string{reg.String(), reg.GoString(), reg.LogValue().String()} {
		if strings.Contains(printed, reg.ClientSecret) {
			t.Error("the secret is printed")
		}
	}
}

// A single-use refresh token that many spend at once is accepted once.
func TestOneOfManySpends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, filepath.Join(t.TempDir(), "sandbox.json"))
	refresh := str(w.connect("slack", "alice", "chat:write"), "authed_user", "refresh_token")
	var wg sync.WaitGroup
	results := make(chan bool, 20)
	for range 20 {
		wg.Go(func() { results <- w.refresh("slack", refresh).object(t)["ok"] == any(true) })
	}
	wg.Wait()
	close(results)
	won := 0
	for ok := range results {
		if ok {
			won++
		}
	}
	want(t, "accepted", won, 1)
	want(t, "spent", w.grants()[0].Spent, 1)
}
