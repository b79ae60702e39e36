package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/tools/sandbox"
)

// now is a Wednesday, so that weeks before and after are full.
var now = time.Date(2026, time.November, 18, 10, 30, 0, 0, time.UTC)

const public = "http://127.0.0.1:8787"

// world is a sandbox behind a real listener, with a clock that a test can move.
type world struct {
	t    *testing.T
	box  *sandbox.Sandbox
	base string
	http *http.Client

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T, stateFile string) *world {
	t.Helper()
	w := &world{t: t, now: now}
	srv := httptest.NewUnstartedServer(nil)
	w.base = "http://" + srv.Listener.Addr().String()
	box, err := sandbox.New(sandbox.Config{BaseURL: w.base, PublicURL: public, StateFile: stateFile, Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = box.Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	w.box = box
	// A client without cookies that follows nothing: what a vendor answers is what the test sees.
	w.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) vendor(name string) sandbox.Registration {
	w.t.Helper()
	reg, known := w.box.Vendor(name)
	if !known {
		w.t.Fatalf("no vendor %q", name)
	}
	return reg
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("status %d, no JSON object: %v: %.300s", a.status, err, a.body)
	}
	return out
}

func (w *world) do(req *http.Request) answer {
	w.t.Helper()
	res, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}

// get is a GET with a bearer token, if there is one.
func (w *world) get(to, token string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, to, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.do(req)
}

func (w *world) post(to string, form url.Values, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.do(req)
}

func (w *world) postJSON(to, token string, v any) answer {
	w.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, to, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(req)
}

const verifier = "a-verifier-that-is-long-enough-to-be-one-0123456789"

func s256(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// params is an authorization request of Grantry at a vendor.
func (w *world) params(vendor, scope string, more ...string) url.Values {
	q := url.Values{
		"client_id": {w.vendor(vendor).ClientID}, "redirect_uri": {public + "/callback/" + vendor}, "response_type": {"code"},
		"state": {"st-1"}, "code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	if vendor == "slack" {
		q.Set("user_scope", scope)
	} else {
		q.Set("scope", scope)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

var buttons = regexp.MustCompile(`<button name="([^"]+)" value="([^"]+)"[^>]*>([^<]+)</button>`)

// click opens the page and presses the button with exactly this text. It gives the query of the redirect.
func (w *world) click(authorize string, q url.Values, label string) url.Values {
	w.t.Helper()
	to := authorize + "?" + q.Encode()
	page := w.get(to, "")
	if page.status != http.StatusOK {
		w.t.Fatalf("authorize page: status %d: %.400s", page.status, page.body)
	}
	for _, m := range buttons.FindAllStringSubmatch(string(page.body), -1) {
		if m[3] != label {
			continue
		}
		res := w.post(to, url.Values{m[1]: {m[2]}})
		if res.status != http.StatusSeeOther {
			w.t.Fatalf("after %q: status %d, want 303: %.400s", label, res.status, res.body)
		}
		back, err := url.Parse(res.header.Get("Location"))
		if err != nil {
			w.t.Fatal(err)
		}
		if got := back.Scheme + "://" + back.Host + back.Path; got != q.Get("redirect_uri") {
			w.t.Fatalf("sent back to %s, want %s", got, q.Get("redirect_uri"))
		}
		return back.Query()
	}
	w.t.Fatalf("no button %q on the page", label)
	return nil
}

// redeem posts a code as the registered client.
func (w *world) redeem(vendor, code string, more ...string) answer {
	w.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {public + "/callback/" + vendor}, "code_verifier": {verifier},
	}
	return w.token(vendor, form, more...)
}

func (w *world) refresh(vendor, token string, more ...string) answer {
	w.t.Helper()
	return w.token(vendor, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, more...)
}

func (w *world) token(vendor string, form url.Values, more ...string) answer {
	w.t.Helper()
	reg := w.vendor(vendor)
	form.Set("client_id", reg.ClientID)
	form.Set("client_secret", reg.ClientSecret)
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return w.post(reg.Token, form)
}

// connect is the whole flow at a vendor and gives the token answer.
func (w *world) connect(vendor, who, scope string, more ...string) map[string]any {
	w.t.Helper()
	back := w.click(w.vendor(vendor).Authorization, w.params(vendor, scope, more...), "Allow as "+who)
	if back.Get("state") != "st-1" {
		w.t.Fatalf("state came back as %q", back.Get("state"))
	}
	res := w.redeem(vendor, back.Get("code"))
	if res.status != http.StatusOK {
		w.t.Fatalf("redeeming: status %d: %s", res.status, res.body)
	}
	return res.object(w.t)
}

func str(v map[string]any, path ...string) string {
	for _, k := range path[:len(path)-1] {
		v, _ = v[k].(map[string]any)
	}
	s, _ := v[path[len(path)-1]].(string)
	return s
}

func list(v map[string]any, key string) []map[string]any {
	var out []map[string]any
	items, _ := v[key].([]any)
	for _, i := range items {
		m, _ := i.(map[string]any)
		out = append(out, m)
	}
	return out
}

// want fails the test with both values when they differ.
func want[T comparable](t *testing.T, what string, got, expected T) {
	t.Helper()
	if got != expected {
		t.Errorf("%s: got %v, want %v", what, got, expected)
	}
}
