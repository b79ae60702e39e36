package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	tokens "github.com/grantry/grantry/vault/client"
)

// example is a program of docs/typescript.md or docs/python.md.
type example struct {
	name    string
	program string // that runs it
	waits   string // where it sends its user, below the public URL
}

const examples = "counterparties/examples"

// nodeExamples are all scripts of that page.
func nodeExamples(t *testing.T) (out []example) {
	t.Helper()
	path, err := node()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain.mjs", "openid-client.mjs", "auth0-auth-js.mjs", "auth0-ai.mjs"} {
		out = append(out, example{name, path, "/consent/"})
	}
	return out
}

// pythonExamples are all programs of that page, with the libraries that `make setup` sees to.
func pythonExamples(t *testing.T) []example {
	t.Helper()
	for _, name := range []string{filepath.Join("counterparties", ".venv", "bin", "python"), "python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import requests, httpx, authlib").Run() == nil {
			return []example{
				{"plain.py", path, "/consent/"},
				{"with_requests.py", path, "/consent/"},
				{"with_httpx.py", path, "/consent/"},
				{"with_authlib.py", path, "/connections"},
			}
		}
	}
	t.Fatal("no python3 here has requests, httpx and authlib: run `make setup` in the top folder")
	return nil
}

// TestPageExamples runs every program of the two pages against the sandbox on https, as
// its user meets it: first the way to the page that asks them, then their events.
func TestPageExamples(t *testing.T) {
	t.Parallel()
	a := startApplication(t, "--tls-dev")
	ca := filepath.Join(a.home.data(), "sandbox", "tls", "ca.pem")
	env := append(a.exampleEnv(t, "alice"), "NODE_EXTRA_CA_CERTS="+ca, "SSL_CERT_FILE="+ca, "REQUESTS_CA_BUNDLE="+ca)
	a.http.Transport = &http.Transport{TLSClientConfig: trusted(t, ca)}
	all := append(nodeExamples(t), pythonExamples(t)...)
	link := ""
	for _, e := range all {
		got := e.run(t, env)
		if len(got) != 1 || !strings.HasPrefix(got[0], "open "+a.Base+e.waits) {
			t.Fatalf("%s without an account prints %q", e.name, got)
		}
		if e.waits == "/consent/" {
			link = strings.TrimPrefix(got[0], "open ")
		}
	}
	b := newBrowser(t)
	b.client.Transport.(*http.Transport).TLSClientConfig = trusted(t, ca)
	if p := b.consent(link, "alice"); p.Status != http.StatusOK {
		t.Fatalf("the visit ended with %d:\n%s", p.Status, p.text())
	}
	want := a.titles(t, a.source(t, a.subject(t, "alice")))
	for _, e := range all {
		if got := e.run(t, env); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s prints %q, want %q", e.name, got, want)
		}
	}
}

// exampleEnv is what the programs of the pages are told, for one user.
func (a *application) exampleEnv(t *testing.T, user string) []string {
	t.Helper()
	return append(a.env(), "SUBJECT_TOKEN="+a.subject(t, user), "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "NODE_NO_WARNINGS=1")
}

// run answers the lines that the program prints.
func (e example) run(t *testing.T, env []string) []string {
	t.Helper()
	p := start(t, spec{Path: e.program, Args: []string{filepath.Join(examples, e.name)}, Env: env})
	p.stdin.Close()
	if code := p.wait(t, 2*patience); code != 0 {
		t.Errorf("%s ended with %d:\n%s", e.name, code, p.output())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout
}

// TestPageExamplesRenew: a token that the vendor does not take any more, though it should, is renewed by the clients of the pages.
func TestPageExamplesRenew(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	for user, e := range map[string]example{"alice": nodeExamples(t)[0], "bob": pythonExamples(t)[0]} {
		want, env := a.titles(t, a.connect(t, user)), a.exampleEnv(t, user)
		a.fault(t, map[string]any{"vendor": "google", "kind": "expire", "user": user})
		before := a.counts(t)["google"]
		if got := e.run(t, env); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s with an expired token prints %q, want %q", e.name, got, want)
		}
		if after := a.counts(t)["google"]; after["api"] != before["api"]+2 || after["token"] != before["token"]+1 {
			t.Errorf("%s: the vendor counts %v, and before %v", e.name, after, before)
		}
	}
}

// trusted is what the authority of a file vouches for.
func trusted(t *testing.T, ca string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s holds no certificate", ca)
	}
	return &tls.Config{RootCAs: pool}
}

// titles are what the vendor itself answers of a user's events, asked by the Go client.
func (a *application) titles(t *testing.T, s *tokens.Source) (out []string) {
	t.Helper()
	resp, err := s.Client().Get(a.control + "/google/calendar/v3/calendars/primary/events?maxResults=5")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var seen struct{ Items []struct{ Summary string } }
	if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil || len(seen.Items) == 0 {
		t.Fatalf("the vendor answers %+v (%v)", seen, err)
	}
	for _, e := range seen.Items {
		out = append(out, e.Summary)
	}
	return out
}
