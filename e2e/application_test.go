package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	tokens "github.com/grantry/grantry/vault/client"
)

// application is what a sandbox prints for those who try token exchange.
type application struct {
	*sandbox
	name, workload string // of the workload, and its secret
	http           http.Client
}

func startApplication(t *testing.T, args ...string) *application {
	t.Helper()
	s := startSandbox(t, args...)
	line, _ := s.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, "Workload: ") })
	words := strings.Fields(line)
	if len(words) != 3 {
		t.Fatalf("the workload's line is %q", line)
	}
	return &application{sandbox: s, name: words[1], workload: words[2]}
}

// subject is an access token of user for Grantry itself.
func (a *application) subject(t *testing.T, user string) string {
	t.Helper()
	var out struct {
		Token string `json:"access_token"`
	}
	a.ask(t, http.MethodPost, "token", map[string]string{"user": user, "client_id": a.name, "audience": a.Base + "/"}, &out)
	return out.Token
}

// env is what the examples are told.
func (a *application) env() []string {
	return []string{"GRANTRY_URL=" + a.Base, "SANDBOX=" + a.control, "CONTROL=" + a.secret, "WORKLOAD_SECRET=" + a.workload}
}

const calendarEvents = "https://www.googleapis.com/auth/calendar.events.readonly"

// TestGoExample runs the example of vault/client against the sandbox: the link, alice's yes, and her events.
func TestGoExample(t *testing.T) {
	t.Parallel()
	dir, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "client-example")
	build := exec.Command("go", "build", "-o", program, "./vault/client/example")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	a := startApplication(t)
	p := start(t, spec{Path: program, Env: a.env()})
	line, _ := p.line(t, 0, patience, func(string) bool { return true })
	if !strings.Contains(line, "(not_connected): "+a.Base+"/consent/") {
		t.Fatalf("the example begins with %q", line)
	}
	if done := newBrowser(t).consent(line[strings.LastIndexByte(line, ' ')+1:], "alice"); done.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", done.Status, done.text())
	}
	want := strings.Join(a.titles(t, a.source(t, a.subject(t, "alice"))), "\n")
	if code := p.wait(t, patience); code != 0 || !strings.Contains(p.output(), "\n"+want+"\n") {
		t.Errorf("the example ended with %d, and the vendor says\n%s\n\n%s", code, want, p.output())
	}
}

func (a *application) source(t *testing.T, subject string) *tokens.Source {
	t.Helper()
	c, err := tokens.New(tokens.Config{BaseURL: a.Base, ClientID: a.name, Secret: tokens.Fixed(a.workload), HTTP: &a.http})
	if err != nil {
		t.Fatal(err)
	}
	return c.TokenSource(tokens.AccessToken(subject), "google", tokens.Options{Scopes: []string{calendarEvents}, Hosts: []string{strings.TrimPrefix(a.control, "http://")}})
}

// calls the vendor with a source.
func (a *application) calls(t *testing.T, s *tokens.Source) error {
	t.Helper()
	resp, err := s.Client().Get(a.control + "/google/calendar/v3/calendars/primary/events")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s (%v)", resp.StatusCode, text, err)
	}
	return nil
}

// connect has user connect their calendar, and answers a source for it.
func (a *application) connect(t *testing.T, user string) *tokens.Source {
	t.Helper()
	s := a.source(t, a.subject(t, user))
	var needed *tokens.ConsentRequired
	if err := a.calls(t, s); !errors.As(err, &needed) || needed.Reason != tokens.NotConnected || !slices.Equal(needed.Missing, []string{calendarEvents}) {
		t.Fatalf("%s without an account: %v %+v", user, err, needed)
	}
	newBrowser(t).consent(needed.URI, user)
	if err := a.calls(t, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGoClient has the real program and vendors that misbehave: an expired token is renewed within the call,
// and a grant that the vendor has ended asks its own user, whom the vault tells from the other.
func TestGoClient(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	alice, bob := a.connect(t, "alice"), a.connect(t, "bob")
	first, err := alice.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(first.Expires); left < 50*time.Minute || left > time.Hour {
		t.Errorf("the token is good for %s", left)
	}
	a.fault(t, map[string]any{"vendor": "google", "kind": "expire", "user": "alice"})
	if err := a.calls(t, alice); err != nil {
		t.Errorf("with an expired token: %v", err)
	}
	second, err := alice.Token(t.Context())
	if err != nil || second.Access == first.Access {
		t.Errorf("afterwards the same token is kept (%v)", err)
	}
	a.fault(t, map[string]any{"vendor": "google", "kind": "revoke", "user": "bob"})
	var needed *tokens.ConsentRequired
	if err := a.calls(t, bob); !errors.As(err, &needed) || needed.Reason != tokens.Revoked || !strings.HasPrefix(needed.URI, a.Base+"/consent/") {
		t.Errorf("after the vendor's end: %v", err)
	}
	if err := a.calls(t, alice); err != nil {
		t.Errorf("alice, after bob's: %v", err)
	}
	var refused *tokens.Error
	if _, err := a.source(t, a.token(t, "alice", "an-mcp-client")).Token(t.Context()); !errors.As(err, &refused) || refused.Code != "invalid_request" {
		t.Errorf("with a token for /mcp: %v", err)
	}
	subject := a.subject(t, "alice")
	newCanary(t, first.Access.Reveal(), second.Access.Reveal(), subject).clean(t, "the log", []byte(a.output()))
	a.workload = "another"
	if _, err := a.source(t, subject).Token(t.Context()); !errors.As(err, &refused) || refused.Code != "invalid_client" || refused.Temporary() {
		t.Errorf("with another secret: %v", err)
	}
}

// TestGoClientWithAKey has a workload that proves itself by a key, for a user who is there and for one who is not.
func TestGoClientWithAKey(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := keyEstate(t, key)
	sign, err := tokens.Signer(key, "2026-11")
	if err != nil {
		t.Fatal(err)
	}
	c, err := tokens.New(tokens.Config{BaseURL: e.base, ClientID: "nightly", Sign: sign})
	if err != nil {
		t.Fatal(err)
	}
	options := tokens.Options{Scopes: []string{calendarRead}}
	there := c.TokenSource(tokens.AccessToken(e.subject(t, "alice", e.base+"/")), "google", options)
	var needed *tokens.ConsentRequired
	if _, err := there.Token(t.Context()); !errors.As(err, &needed) {
		t.Fatalf("without an account: %v", err)
	}
	if p := newBrowser(t).consent(needed.URI, "alice"); p.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", p.Status, p.text())
	}
	away := c.TokenSource(tokens.Unattended(e.issuer.URL, "alice", "the nightly report"), "google", options)
	for name, s := range map[string]*tokens.Source{"there": there, "away": away} {
		got, err := s.Token(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if who := e.calledBy(t, got.Access.Reveal()); who != "alice@example.com" {
			t.Errorf("%s: the token is %q's", name, who)
		}
	}
	if out, _, _ := e.home.run(t, "audit", "export"); !strings.Contains(out, "the nightly report") {
		t.Errorf("the audit does not say why:\n%s", out)
	}
	var refused *tokens.Error
	bob := c.TokenSource(tokens.Unattended("https://elsewhere.example", "alice", "the nightly report"), "google", options)
	if _, err := bob.Token(t.Context()); !errors.As(err, &refused) || refused.Code != "invalid_request" {
		t.Errorf("somebody of another issuer: %v", err)
	}
}

// keyEstate is workEstate whose workload has a key in place of a secret, and may work for users who are not there.
func keyEstate(t *testing.T, key *ecdsa.PrivateKey) *estate {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "2026-11", Use: "sig", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "jwks.json")
	writeFile(t, at, string(set))
	return workEstateWith(t, func(yaml string) string {
		return strings.Replace(yaml, "    client_secret: env:NIGHTLY\n", "    jwks: file:"+at+"\n    unattended: [google]\n", 1)
	})
}
