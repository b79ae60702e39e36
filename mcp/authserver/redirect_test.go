package authserver_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestR47RedirectURIs: the address is one that the client registered, to the
// letter; on this machine the port may be any. What is nearly one gets a page and no redirect.
func TestR47RedirectURIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	six := w.register("http://[::1]:4000/cb?x=1", "cursor://anysphere.cursor/cb", "https://site.example/cb", "http://localhost:8080")
	for _, c := range []struct {
		client string
		good   []string
		bad    []string
	}{
		{
			"desk",
			[]string{localRedirect, "http://127.0.0.1:1/oauth/callback", "http://127.0.0.1:65535/oauth/callback", "http://127.0.0.1/oauth/callback"},
			[]string{
				"", "http://127.0.0.1:6276/oauth/callback/", "http://127.0.0.1:6276/oauth/callbackx", "http://127.0.0.1:6276/oauth/callback?x", "http://127.0.0.1:6276/oauth/callback#x",
				"http://localhost:6276/oauth/callback", "http://[::1]:6276/oauth/callback", "http://127.0.0.2:6276/oauth/callback", "https://127.0.0.1:6276/oauth/callback",
				"http://127.0.0.1.evil.example/oauth/callback", "http://127.0.0.1:6276.evil.example/oauth/callback", "http://127.0.0.1@evil.example/oauth/callback",
				"http://me@127.0.0.1:6276/oauth/callback", "http://127.0.0.1:6276@evil.example/oauth/callback", "http://127.0.0.1:6276/oauth%2fcallback", "http://127.0.0.1:6276/./oauth/callback",
				"http://127.0.0.1:6276/x/../oauth/callback", "http://127.0.0.1:6276\\oauth/callback", "http://127.1:6276/oauth/callback", "HTTP://127.0.0.1:6276/oauth/callback",
				"http://127.0.0.1:+6276/oauth/callback", "http://127.0.0.1:66276/oauth/callback", "http://127.0.0.1:0/oauth/callback", "http://127.0.0.1:/oauth/callback", "//127.0.0.1:6276/oauth/callback",
				"javascript:alert(1)//127.0.0.1/oauth/callback", " http://127.0.0.1:6276/oauth/callback",
			},
		},
		{
			six,
			[]string{"http://[::1]:4001/cb?x=1", "cursor://anysphere.cursor/cb", "https://site.example/cb", "http://localhost", "http://localhost:9"},
			[]string{
				"http://[::1]:4000/cb?x=2", "http://[::1]:4000/cb", "http://[::ffff:127.0.0.1]:4000/cb?x=1", "cursor://anysphere.cursor/cb/", "cursor://evil/cb", "cursor:/anysphere.cursor/cb",
				"CURSOR://anysphere.cursor/cb", "https://site.example:443/cb", "https://site.example/cb/", "https://SITE.example/cb", "https://site.example.evil.example/cb", "https://evil.example/?https://site.example/cb",
				"https://site.example%2fcb", "https://site.example/%63b", "https://user@site.example/cb", "http://site.example/cb", "http://localhost.evil:8080", "http://localhost.:8080", "http://localhost:8080/", "https://localhost:8080",
			},
		},
	} {
		b := w.browser("alice")
		for _, uri := range c.good {
			if p := b.open(w.asking(c.client, uri)); p.status != http.StatusSeeOther || !strings.HasPrefix(p.location.Path, "/consent/") {
				t.Errorf("%s with %s: %d %v %s", c.client, uri, p.status, p.location, p.body)
			}
		}
		for _, uri := range c.bad {
			p := b.open(w.asking(c.client, uri))
			if p.status != http.StatusBadRequest || p.location != nil {
				t.Errorf("%s with %q: %d, redirect to %v", c.client, uri, p.status, p.location)
			}
		}
	}
	b := w.browser("alice")
	twice := w.asking("desk", localRedirect) + "&redirect_uri=https%3A%2F%2Fevil.example%2F"
	if p := b.open(twice); p.status != http.StatusBadRequest || p.location != nil {
		t.Errorf("two redirect URIs: %d %v", p.status, p.location)
	}
	if p := b.open(w.asking("nobody", localRedirect)); p.status != http.StatusBadRequest || strings.TrimSpace(p.body) != "client" {
		t.Errorf("an unknown client: %d %s", p.status, p.body)
	}
	if p := b.open(w.asking("desk", localRedirect) + "&state=again"); p.status != http.StatusSeeOther || p.location.Query().Get("error") != "invalid_request" {
		t.Errorf("two states: %d %v", p.status, p.location)
	}
}

// TestR54Registration: a client registers itself with what its type may have,
// and nothing that a browser would act on.
func TestR54Registration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, got := w.tryRegister(map[string]any{
		"redirect_uris": []string{localRedirect}, "token_endpoint_auth_method": "client_secret_basic", "application_type": "native",
		"grant_types": []string{"authorization_code", "refresh_token"}, "client_name": "mcpdo",
	})
	if status != http.StatusCreated || got["token_endpoint_auth_method"] != "none" || got["client_secret"] != nil || got["application_type"] != "native" {
		t.Errorf("registering: %d %v", status, got)
	}
	for _, c := range []struct {
		uris any
		kind string
		want string
	}{
		{[]string{"https://a.example/cb"}, "web", ""},
		{[]string{"https://a.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb"}, "native", ""},
		{[]string{"http://127.0.0.1/cb"}, "web", "invalid_redirect_uri"},
		{[]string{"com.example.app:/cb"}, "web", "invalid_redirect_uri"},
		{[]string{"https://localhost/cb"}, "web", "invalid_redirect_uri"},
		{[]string{"http://a.example/cb"}, "native", "invalid_redirect_uri"},
		{[]string{"http://127.0.0.1.evil.example/cb"}, "", "invalid_redirect_uri"},
		{[]string{"javascript:alert(1)"}, "", "invalid_redirect_uri"},
		{[]string{"javascript://a.example/%0aalert(1)"}, "", "invalid_redirect_uri"},
		{[]string{"JavaScript://a.example/%0aalert(1)"}, "", "invalid_redirect_uri"},
		{[]string{"data:text/html,x"}, "", "invalid_redirect_uri"},
		{[]string{"file:///etc/passwd"}, "", "invalid_redirect_uri"},
		{[]string{"https://a.example/cb#f"}, "", "invalid_redirect_uri"},
		{[]string{"https://u:p@a.example/cb"}, "", "invalid_redirect_uri"},
		{[]string{"https://*.example/cb"}, "", "invalid_redirect_uri"},
		{[]string{"/cb"}, "", "invalid_redirect_uri"},
		{[]string{}, "", "invalid_redirect_uri"},
		{"https://a.example/cb", "", "invalid_client_metadata"},
		{[]string{"https://a.example/cb"}, "toaster", "invalid_client_metadata"},
	} {
		fields := map[string]any{"redirect_uris": c.uris}
		if c.kind != "" {
			fields["application_type"] = c.kind
		}
		status, got := w.tryRegister(fields)
		if failed, _ := got["error"].(string); failed != c.want || (status == http.StatusCreated) != (c.want == "") {
			t.Errorf("%v as %q: %d %v, want %q", c.uris, c.kind, status, got, c.want)
		}
		w.clock.add(10e9) // within the rate
	}
}
