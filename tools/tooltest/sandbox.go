package tooltest

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault/provider"
)

// public is the address that the sandbox sends people back to. Nothing listens there: the
// test takes the code out of the redirect.
const public = "http://127.0.0.1:8787"

// Connect starts a sandbox and connects alice's account at the vendor with these
// scopes, by the vendor's real OAuth.
func Connect(t *testing.T, vendor string, scopes ...string) *Source {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	box, err := sandbox.New(sandbox.Config{BaseURL: "http://" + srv.Listener.Addr().String(), PublicURL: public})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = box.Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	conn := register(t, box, vendor)
	req := provider.AuthRequest{
		State: "state", Verifier: provider.NewSecret(rand.Text() + rand.Text()), Nonce: "nonce",
		RedirectURI: public + "/callback/" + vendor, Scopes: scopes,
	}
	page, err := conn.AuthCodeURL(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := conn.Redeem(t.Context(), provider.Redemption{
		Code: provider.NewSecret(allow(t, page)), Verifier: req.Verifier, RedirectURI: req.RedirectURI, Asked: scopes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Source{Bear: provider.Bearer{
		Token: grant.Access, Connection: conn, APIBase: grant.APIBase, Account: "alice", Grant: "grant-1", Scopes: grant.Scopes,
	}}
}

func register(t *testing.T, box *sandbox.Sandbox, vendor string) *provider.Connection {
	t.Helper()
	reg, ok := box.Vendor(vendor)
	p, known := provider.Catalog().Lookup(vendor)
	if !ok || !known {
		t.Fatalf("no vendor %s", vendor)
	}
	conn, err := provider.NewConnection(provider.Registration{
		Name: vendor, Provider: p, ClientID: reg.ClientID, ClientSecret: provider.NewSecret(reg.ClientSecret), LoopbackHTTP: true,
		Endpoints: provider.Endpoints{
			Issuer: reg.Issuer, Authorization: reg.Authorization, Token: reg.Token, Revocation: reg.Revocation,
			Userinfo: reg.Userinfo, JWKS: reg.JWKS, API: reg.API,
		},
	}, provider.Config{HTTP: &http.Client{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

var button = regexp.MustCompile(`<button name="([^"]+)" value="([^"]+)"[^>]*>Allow as alice</button>`)

// allow presses "Allow as alice" on the vendor's page and answers the code.
func allow(t *testing.T, page string) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	_, body := send(t, client, http.MethodGet, page, "")
	m := button.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no button on the vendor's page: %.300s", body)
	}
	resp, body := send(t, client, http.MethodPost, page, url.Values{m[1]: {m[2]}}.Encode())
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("no code: %s, %v: %.300s", resp.Status, err, body)
	}
	return back.Query().Get("code")
}

func send(t *testing.T, client *http.Client, method, to, form string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(fmt.Errorf("asking the sandbox: %w", err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}
