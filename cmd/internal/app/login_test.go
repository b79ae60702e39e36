package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

// startAlone serves without any identity provider.
func startAlone(t *testing.T, yaml string, change ...func(*app.Options)) app.Ready {
	t.Helper()
	dir := t.TempDir()
	cfg, err := config.Parse(filepath.Join(dir, "grantry.yaml"), []byte(yaml), config.Options{
		Home: dir, Env: func(string) string { return "" }, DataDir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	o := app.Options{Config: cfg, Version: "test"}
	for _, c := range change {
		c(&o)
	}
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan app.Ready, 1)
	go func() { ended <- a.Serve(ctx, func(r app.Ready) { ready <- r }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case r := <-ready:
		return r
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the server is not ready")
	}
	return app.Ready{}
}

// answered is what an HTTP server said.
type answered struct {
	status int
	header http.Header
	fields map[string]any
	raw    string
}

func send(t *testing.T, method, at, contentType, body string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.NewDecoder(bytes.NewReader(raw)).Decode(&a.fields) // not all answers are JSON
	return a
}

// signedIn is a browser that the one-time link has let in.
func signedIn(t *testing.T, r app.Ready) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, client: &http.Client{Jar: jar}}
	b.get(r.Connections)
	if !strings.Contains(b.url, "/signin") {
		t.Fatalf("a browser that nobody let in is at %s", b.url)
	}
	link, _, err := r.SignIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.get(link)
	b.post("", "")
	if b.get(r.Connections); strings.Contains(b.url, "/signin") {
		t.Fatalf("the link let nobody in: %s", b.body)
	}
	return b
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// TestServeWithoutIssuer: with nothing but Grantry a client finds its way from a 401 to
// a token that /mcp takes, and a person who signed in by the one-time link decides.
func TestServeWithoutIssuer(t *testing.T) {
	t.Parallel()
	r := startAlone(t, "clients:\n  known: { redirect_uris: [https://app.example/cb] }\n")
	base := strings.TrimSuffix(r.MCP, "/mcp")
	no := send(t, http.MethodPost, r.MCP, "application/json", initialize)
	if challenge := no.header.Get("WWW-Authenticate"); no.status != http.StatusUnauthorized || !strings.Contains(challenge, "tools:read") {
		t.Fatalf("without a token: %d %q", no.status, challenge)
	}
	prm := send(t, http.MethodGet, base+"/.well-known/oauth-protected-resource/mcp", "", "").fields
	if servers, _ := prm["authorization_servers"].([]any); len(servers) != 1 || servers[0] != base {
		t.Fatalf("the resource names %v", prm)
	}
	meta := send(t, http.MethodGet, base+"/.well-known/oauth-authorization-server", "", "").fields
	got := make(chan url.Values, 2)
	callback := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { got <- q.URL.Query() }))
	defer callback.Close()
	reg := send(t, http.MethodPost, meta["registration_endpoint"].(string), "application/json", `{"client_name":"Test app","redirect_uris":["http://127.0.0.1/cb"]}`)
	if reg.status != http.StatusCreated {
		t.Fatalf("registering: %d %s", reg.status, reg.raw)
	}
	id, verifier := reg.fields["client_id"].(string), strings.Repeat("v", 50)
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {callback.URL + "/cb"}, "state": {"s"}, "resource": {r.MCP},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	b := signedIn(t, r)
	b.get(meta["authorization_endpoint"].(string) + "?" + q.Encode())
	if !strings.Contains(b.url, "/consent/") || !strings.Contains(b.body, "Test app") || !strings.Contains(b.body, "any program on your computer") {
		t.Fatalf("the request leads to %s: %s", b.url, b.body)
	}
	b.get(base + b.post("answer", "allow"))
	answer := <-got
	if answer.Get("iss") != base || answer.Get("state") != "s" || answer.Get("code") == "" {
		t.Fatalf("the client got %v", answer)
	}
	// JSON is taken as a form, too.
	body, err := json.Marshal(map[string]string{
		"grant_type": "authorization_code", "code": answer.Get("code"), "client_id": id, "redirect_uri": callback.URL + "/cb", "code_verifier": verifier,
	})
	if err != nil {
		t.Fatal(err)
	}
	tok := send(t, http.MethodPost, meta["token_endpoint"].(string), "application/json", string(body))
	if tok.status != http.StatusOK {
		t.Fatalf("the token endpoint: %d %s", tok.status, tok.raw)
	}
	access := tok.fields["access_token"].(string)
	yes := send(t, http.MethodPost, r.MCP, "application/json", initialize, "Authorization", "Bearer "+access, "Accept", "application/json, text/event-stream")
	if yes.status != http.StatusOK || !strings.Contains(yes.raw, "protocolVersion") {
		t.Fatalf("with the token: %d %s", yes.status, yes.raw)
	}
	revoked := send(t, http.MethodPost, meta["revocation_endpoint"].(string), "application/x-www-form-urlencoded", url.Values{"token": {access}, "client_id": {id}}.Encode())
	over := send(t, http.MethodPost, r.MCP, "application/json", initialize, "Authorization", "Bearer "+access)
	if revoked.status != http.StatusOK || over.status != http.StatusUnauthorized {
		t.Errorf("after the revocation (%d) /mcp answers %d", revoked.status, over.status)
	}
}

// TestR59TokenEndpoint: whatever comes, the answer is OAuth's JSON, and not kept.
func TestR59TokenEndpoint(t *testing.T) {
	t.Parallel()
	base := strings.TrimSuffix(startAlone(t, "").MCP, "/mcp")
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		what, contentType, body string
		status                  int
		code                    string
	}{
		{"nothing", form, "", 400, "invalid_request"},
		{"an identity assertion", form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=e30.e30.x&client_id=x", 400, "unsupported_grant_type"},
		{"an exchange by nobody", form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x", 401, "invalid_client"},
		{"an exchange by an MCP client", form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=x&client_id=spa", 400, "unauthorized_client"},
		{"a password", "application/json", `{"grant_type":"password","username":"x"}`, 400, "unsupported_grant_type"},
		{"an unknown client", form, "grant_type=refresh_token&refresh_token=x&client_id=nobody", 401, "invalid_client"},
		{"no client", form, "grant_type=refresh_token&refresh_token=x", 400, "invalid_request"},
		{"text", "text/plain", "grant_type=refresh_token", 400, "invalid_request"},
		{"broken JSON", "application/json", `{"grant_type":`, 400, "invalid_request"},
		{"JSON with a name twice", "application/json", `{"grant_type":"password","grant_type":"refresh_token"}`, 400, "invalid_request"},
		{"nested JSON", "application/json", `{"grant_type":{"a":1}}`, 400, "invalid_request"},
		{"two JSON values", "application/json", `{"grant_type":"refresh_token"} {}`, 400, "invalid_request"},
		{"too much", form, "grant_type=refresh_token&x=" + strings.Repeat("x", 70<<10), 400, "invalid_request"},
	} {
		a := send(t, http.MethodPost, base+"/oauth/token?grant_type=refresh_token", c.contentType, c.body)
		if a.status != c.status || a.fields["error"] != c.code || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v", c.what, a.status, a.raw, a.header)
		}
		if c.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: a 401 without a challenge", c.what)
		}
	}
	if a := send(t, http.MethodGet, base+"/oauth/token", "", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
	a := send(t, http.MethodPost, base+"/oauth/token", form, "grant_type=refresh_token&refresh_token=x&client_id=x", "DPoP", "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.x")
	if a.fields["error"] != "invalid_client" {
		t.Errorf("with a DPoP proof: %d %s", a.status, a.raw)
	}
}
