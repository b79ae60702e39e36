package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault/client"
)

func (a *api) source(t *testing.T, g *grantry) *client.Source {
	t.Helper()
	return g.client(t).TokenSource(client.AccessToken("alice"), "google", client.Options{Hosts: []string{a.host()}})
}

// get answers what the vendor said.
func get(t *testing.T, c *http.Client, at string) (int, string) {
	t.Helper()
	resp, err := c.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	g, a := newGrantry(t), newAPI(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "another-customer.example.com"
	req.Header.Set("Authorization", "Bearer mine")
	resp, err := a.source(t, g).Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	want := []call{{Path: "/events", Bearer: "vendor-canary-alice-google-0", Host: a.host()}}
	if diff := cmp.Diff(want, a.seen()); diff != "" {
		t.Errorf("the vendor saw (-want +got):\n%s", diff)
	}
	if got := resp.Request.Header.Get("Authorization"); got != "Bearer mine" || req.Header.Get("Authorization") != "Bearer mine" {
		t.Errorf("the answer's request has %q", got)
	}
}

// TestNowhereElse: an address that nobody has named gets no request at all, by whatever way it comes.
func TestNowhereElse(t *testing.T) {
	t.Parallel()
	g, a, other := newGrantry(t), newAPI(t), newAPI(t)
	c := a.source(t, g).Client()
	for _, at := range []string{
		other.URL + "/", "http://api.example.com/", strings.Replace(a.URL, "http://", "http://user:pass@", 1),
		strings.Replace(a.URL, "127.0.0.1", "localhost", 1), "http://example.com:" + a.host()[strings.LastIndex(a.host(), ":")+1:],
	} {
		_, err := c.Get(at)
		var refused *client.HostError
		if !errors.As(err, &refused) || refused.Redirect || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", at, err)
		}
	}
	// A redirect to another origin is the caller's to follow, one to the same is followed.
	if status, _ := get(t, c, a.URL+"/?to="+url.QueryEscape(other.URL+"/stolen")); status != http.StatusTemporaryRedirect {
		t.Errorf("a redirect elsewhere: %d", status)
	}
	if status, text := get(t, c, a.URL+"/?to="+url.QueryEscape("/moved")); status != http.StatusOK || text != "events" {
		t.Errorf("a redirect on the same origin: %d %s", status, text)
	}
	// A client of the caller's own that follows all of them does not get the token along.
	both := g.client(t).TokenSource(client.AccessToken("alice"), "google", client.Options{Hosts: []string{a.host(), other.host()}})
	mine := &http.Client{Transport: both.Client().Transport}
	_, err := mine.Get(a.URL + "/?to=" + url.QueryEscape(other.URL+"/stolen"))
	var refused *client.HostError
	if !errors.As(err, &refused) || !refused.Redirect {
		t.Errorf("a redirect between two named hosts: %v", err)
	}
	if got := other.seen(); len(got) != 0 {
		t.Errorf("the other host saw %+v", got)
	}
	if last := a.seen()[len(a.seen())-2]; last.Path != "/moved" || last.Bearer == "" {
		t.Errorf("behind the redirect the vendor saw %+v", last)
	}
}

// TestNamedBase: the base that Grantry names with a token is a place for it, without being named here.
func TestNamedBase(t *testing.T) {
	t.Parallel()
	g, a, other := newGrantry(t), newAPI(t), newAPI(t)
	g.base = a.URL + "/services"
	s := g.client(t).TokenSource(client.AccessToken("alice"), "crm", client.Options{})
	tok, err := s.Token(t.Context())
	if err != nil || tok.APIBase != a.URL+"/services" {
		t.Fatalf("%+v, %v", tok, err)
	}
	if status, _ := get(t, s.Client(), tok.APIBase+"/data"); status != http.StatusOK {
		t.Errorf("at the base: %d", status)
	}
	var refused *client.HostError
	if _, err := s.Client().Get(other.URL); !errors.As(err, &refused) {
		t.Errorf("elsewhere: %v", err)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	for _, tc := range []struct {
		entry, at string
		goes      bool
	}{
		{"api.example.com", "https://api.example.com/x", true},
		{"api.example.com", "https://API.example.com:443/x", true},
		{"api.example.com", "https://api.example.com:8443/x", false},
		{"api.example.com:8443", "https://api.example.com:8443/x", true},
		{"api.example.com", "http://api.example.com/x", false},
		{"api.example.com:80", "http://api.example.com/x", false},
		{"api.example.com", "https://evil-api.example.com/x", false},
		{"api.example.com", "https://api.example.com.evil.example/x", false},
		{"*.example.com", "https://eu.example.com/x", true},
		{"*.example.com", "https://a.eu.example.com/x", true},
		{"*.example.com", "https://example.com/x", false},
		{"*.example.com", "https://evilexample.com/x", false},
		{"*.com", "https://example.com/x", false},
		{"[::1]:9", "http://[::1]:9/x", true},
		{"127.0.0.1:9", "http://127.0.0.1:9/x", true},
	} {
		sent := false
		base := transportFunc(func(*http.Request) (*http.Response, error) {
			sent = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		c := g.client(t).TokenSource(client.AccessToken("alice"), "google", client.Options{Hosts: []string{tc.entry}, Base: base}).Client()
		resp, err := c.Get(tc.at)
		if err == nil {
			resp.Body.Close()
		}
		if sent != tc.goes || (err == nil) != tc.goes {
			t.Errorf("%s with %s: sent %t, %v", tc.at, tc.entry, sent, err)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRefusedByTheVendor: a token that the vendor takes no more is asked for anew once, and the call goes through.
func TestRefusedByTheVendor(t *testing.T) {
	t.Parallel()
	g, a := newGrantry(t), newAPI(t)
	c := a.source(t, g).Client()
	get(t, c, a.URL) // has a token now
	g.refresh("alice")
	a.takes("vendor-canary-alice-google-1")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			resp, err := c.Post(a.URL+"/write", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("it answers %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	for _, seen := range a.seen()[1:] {
		if seen.Body != "hello" {
			t.Errorf("the vendor saw %+v", seen)
		}
	}
	asks := g.seen()
	if len(asks) != 2 || asks[1].Form.Get("min_ttl") != "3571" {
		t.Errorf("%d exchanges, the last for %v", len(asks), asks[len(asks)-1].Form["min_ttl"])
	}
}

// TestBodyThatIsGone: what cannot be had again is not sent again, and the next call has the new token.
func TestBodyThatIsGone(t *testing.T) {
	t.Parallel()
	g, a := newGrantry(t), newAPI(t)
	c := a.source(t, g).Client()
	get(t, c, a.URL)
	g.refresh("alice")
	a.takes("vendor-canary-alice-google-1")
	resp, err := c.Post(a.URL+"/write", "text/plain", io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(text), "token is over") || len(a.seen()) != 2 {
		t.Errorf("%d %s (%v), the vendor saw %+v", resp.StatusCode, text, err, a.seen())
	}
	if status, _ := get(t, c, a.URL); status != http.StatusOK || len(a.seen()) != 3 {
		t.Errorf("the next call: %d", status)
	}
}

// TestNoOtherToken: where Grantry has no other one the vendor's answer stands, and nothing is sent twice with the same token.
func TestNoOtherToken(t *testing.T) {
	t.Parallel()
	g, a := newGrantry(t), newAPI(t)
	a.takes("another")
	g.answer = func(w http.ResponseWriter, f url.Values) bool {
		if f.Get("min_ttl") == "" {
			return false
		}
		reply(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "min_ttl is longer than a token of this account lives"})
		return true
	}
	c := a.source(t, g).Client()
	if status, text := get(t, c, a.URL); status != http.StatusUnauthorized || !strings.Contains(text, "token is over") {
		t.Errorf("%d %s", status, text)
	}
	if n, asks := len(a.seen()), len(g.seen()); n != 1 || asks != 3 {
		t.Errorf("%d calls, %d exchanges", n, asks)
	}
}

// TestRevokedMeanwhile: what the user has to mend comes as such out of an http.Client.
func TestRevokedMeanwhile(t *testing.T) {
	t.Parallel()
	g, a := newGrantry(t), newAPI(t)
	c := a.source(t, g).Client()
	get(t, c, a.URL)
	a.takes("another")
	g.set(func() {
		g.answer = func(w http.ResponseWriter, _ url.Values) bool {
			reply(w, http.StatusBadRequest, map[string]any{"error": "consent_required", "error_reason": "revoked", "consent_uri": "https://g.example/consent/h"})
			return true
		}
	})
	_, err := c.Get(a.URL)
	var needed *client.ConsentRequired
	if !errors.As(err, &needed) || needed.Reason != client.Revoked || needed.URI != "https://g.example/consent/h" || needed.Connection != "google" {
		t.Errorf("it answers %v", err)
	}
}
