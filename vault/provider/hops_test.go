package provider_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/provider"
)

func moved(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}
}

// TestRedirects is R67: which redirects of an API are followed, and which hops
// see the token.
func TestRedirects(t *testing.T) {
	t.Parallel()
	const start = "https://www.googleapis.com/start"
	cases := map[string]struct {
		method string
		chain  []string // "status to", each from the one before
		tokens []bool   // of the requests that are sent
		ok     bool
	}{
		"same host":            {"GET", []string{"302 /next"}, []bool{true, true}, true},
		"download":             {"GET", []string{"302 https://doc-0.googleusercontent.com/f"}, []bool{true, false}, true},
		"other API host":       {"GET", []string{"302 https://docs.googleapis.com/f"}, []bool{true, false}, true},
		"there and back":       {"GET", []string{"302 https://doc-0.googleusercontent.com/f", "302 https://www.googleapis.com/next"}, []bool{true, false, false}, true},
		"elsewhere":            {"GET", []string{"302 https://evil.example/f"}, []bool{true}, false},
		"down to http":         {"GET", []string{"302 http://www.googleapis.com/f"}, []bool{true}, false},
		"download over http":   {"GET", []string{"302 http://doc-0.googleusercontent.com/f"}, []bool{true}, false},
		"body to a download":   {"POST", []string{"307 https://doc-0.googleusercontent.com/f"}, []bool{true}, false},
		"body to another API":  {"POST", []string{"308 https://docs.googleapis.com/f"}, []bool{true}, false},
		"body to the same":     {"POST", []string{"307 /next"}, []bool{true, true}, true},
		"see other, elsewhere": {"POST", []string{"303 https://doc-0.googleusercontent.com/f"}, []bool{true, false}, true},
		"five":                 {"GET", []string{"302 /1", "302 /2", "302 /3", "302 /4", "302 /5"}, []bool{true, true, true, true, true, true}, true},
		"six":                  {"GET", []string{"302 /1", "302 /2", "302 /3", "302 /4", "302 /5", "302 /6"}, []bool{true, true, true, true, true, true}, false},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			from := start
			for _, hop := range v.chain {
				status, to, _ := strings.Cut(hop, " ")
				code := map[string]int{"302": 302, "303": 303, "307": 307, "308": 308}[status]
				n.answer(from, moved(code, to))
				if strings.HasPrefix(to, "/") {
					to = "https://www.googleapis.com" + to
				}
				from = to
			}
			n.answer(from, jsonReply(200, "{}"))
			req, _ := http.NewRequestWithContext(t.Context(), v.method, start, strings.NewReader("secret body"))
			resp, err := bearer(n.connection("google", nil), "access-1").Client(n.client().Transport, nil).Do(req)
			if resp != nil {
				_ = resp.Body.Close()
			}
			if (err == nil) != v.ok {
				t.Errorf("got %v", err)
			}
			sent := n.took()
			if len(sent) != len(v.tokens) {
				t.Fatalf("sent %q", sent)
			}
			for i, s := range sent {
				if strings.Contains(s, "access-1") != v.tokens[i] || !v.tokens[i] && strings.Contains(s, "secret body") {
					t.Errorf("request %d: %q", i, s)
				}
			}
		})
	}
}

// answer answers every method at an address.
func (n *internet) answer(at string, h http.HandlerFunc) {
	at = strings.TrimPrefix(strings.TrimPrefix(at, "https://"), "http://")
	n.on("GET "+at, h)
	n.on("POST "+at, h)
}

// TestRedirectUnderOverride: a relative Location is taken from where the
// request really went.
func TestRedirectUnderOverride(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET fake.example.com/google/start", moved(302, "/google/next"))
	n.on("GET fake.example.com/google/next", jsonReply(200, "{}"))
	c := n.connection("google", func(r *provider.Registration) { r.Endpoints.API = "https://fake.example.com/google" })
	resp, err := bearer(c, "access-1").Client(n.client().Transport, nil).Get("https://www.googleapis.com/start")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if sent := n.took(); len(sent) != 2 || !strings.Contains(sent[1], "Bearer access-1") {
		t.Errorf("sent %q", sent)
	}
}

// TestTransportErrors: what a server says in the place of HTTP is not repeated.
func TestTransportErrors(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET www.googleapis.com/x", garbage)
	_, err := bearer(n.connection("google", nil), "access-1").Client(n.client().Transport, nil).Get("https://www.googleapis.com/x")
	if err == nil {
		t.Fatal("no error")
	}
	clean(t, err)
}

// TestProxyNeverSeesLoopback runs TestLoopback with a proxy in the environment,
// in a process of its own because net/http reads it once.
func TestProxyNeverSeesLoopback(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.URL.String() }))
	defer proxy.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLoopback$", "-test.v")
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestLoopback") {
		t.Errorf("%v\n%s", err, out)
	}
	select {
	case at := <-seen:
		t.Errorf("the proxy was asked for %s", at)
	default:
	}
}

// TestLoopback speaks plain http to a vendor on this machine, where that is allowed.
func TestLoopback(t *testing.T) {
	t.Parallel()
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		jsonReply(200, `{"access_token":"a","id":"`+r.Header.Get("Authorization")+`"}`)(w, r)
	}))
	defer vendor.Close()
	at := strings.Replace(vendor.URL, "127.0.0.1", "localhost", 1)
	reg := registration(t, "oauth2", func(r *provider.Registration) {
		r.Endpoints = provider.Endpoints{Authorization: at + "/a", Token: at + "/t", Userinfo: vendor.URL + "/u"}
		r.APIHosts = []string{strings.TrimPrefix(vendor.URL, "http://")}
	})
	if _, err := provider.NewConnection(reg, provider.Config{}); err == nil {
		t.Error("plain http was taken where it is not allowed")
	}
	reg.LoopbackHTTP = true
	c, err := provider.NewConnection(reg, provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Redeem(t.Context(), redemption())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := c.Identify(t.Context(), g, ""); err != nil || id.ID != "Bearer a" {
		t.Errorf("%v, %v", id, err)
	}
	resp, err := bearer(c, "x").Client(nil, nil).Get(vendor.URL + "/api")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	var refused *provider.HostError
	if _, err := bearer(c, "x").Client(nil, nil).Get(at + "/api"); !errors.As(err, &refused) {
		t.Errorf("localhost is not the configured host, got %v", err)
	}
}
