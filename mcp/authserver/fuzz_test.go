package authserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzR47Redirect holds what a redirect may be, whatever is registered and asked
// for: the registered text itself, or on this machine another port of it; and what is
// registered never carries a user, a fragment or a scheme that a browser acts on.
func FuzzR47Redirect(f *testing.F) {
	for _, seed := range [][2]string{
		{"http://127.0.0.1:6276/cb", "http://127.0.0.1:1/cb"},
		{"http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"},
		{"http://localhost", "http://localhost:80"},
		{"http://127.0.0.1/cb", "http://127.0.0.1@evil.example/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"},
		{"http://localhost/cb", "http://localhost.evil.example/cb"},
		{"https://a.example/cb", "https://a.example/cb/"},
		{"cursor://x/cb", "cursor://x/cb"},
		{"javascript://a/%0aalert(1)", "javascript:alert(1)"},
		{"http://127.0.0.1:6276/cb", "http://127.0.0.1:6276\\@evil.example/cb"},
		{"com.example.app:/cb", "com.example.app:/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:+1/cb"},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"},
		{"HTTP://127.0.0.1/cb", "http://127.0.0.1/cb"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, registered, asked string) {
		kind, err := targetOf(registered)
		if err != nil {
			return // nobody can register it
		}
		at, err := url.Parse(registered)
		if err != nil || at.User != nil || strings.Contains(registered, "#") {
			t.Fatalf("%q can be registered", registered)
		}
		if s := strings.ToLower(at.Scheme); s == "javascript" || s == "data" || s == "file" || s == "http" && kind != targetLocal {
			t.Fatalf("%q can be registered", registered)
		}
		if !redirectAllowed([]string{registered}, asked) || asked == registered {
			return
		}
		to, err := url.Parse(asked)
		if err != nil {
			t.Fatalf("%q is taken for %q, and is no address", asked, registered)
		}
		if host := to.Hostname(); to.Scheme != "http" || host != at.Hostname() || host != "127.0.0.1" && host != "::1" && host != "localhost" {
			t.Fatalf("%q is taken for %q: another host", asked, registered)
		}
		if to.User != nil || to.EscapedPath() != at.EscapedPath() || to.RawQuery != at.RawQuery || to.Fragment != "" {
			t.Fatalf("%q is taken for %q: more than the port differs", asked, registered)
		}
	})
}

// FuzzR52Document holds what a metadata document can make of a client, whatever it says.
func FuzzR52Document(f *testing.F) {
	const id = "https://publisher.example/client.json"
	good := `{"client_id":"` + id + `","client_name":"N","redirect_uris":["https://a.example/cb"]}`
	for _, seed := range []string{
		good, `{"client_id":"` + id + `","client_name":"N","redirect_uris":["http://127.0.0.1/cb"],"application_type":"native","token_endpoint_auth_method":"none"}`,
		`{"client_id":"` + id + `","client_name":"\u202eN\u0000","redirect_uris":["https://a.example/cb","javascript:x"]}`, `{"Client_ID":"` + id + `"}`, `null`, `[]`, `{`,
		strings.Replace(good, `"N"`, `"N","token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, 1),
		strings.Replace(good, `"N"`, `"N","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://127.0.0.1/"`, 1),
		strings.Replace(good, `"N"`, `"N","client_secret":"s"`, 1), strings.Replace(good, `"N"`, `7`, 1), good + good, strings.Repeat("[", 5000),
	} {
		f.Add([]byte(seed), "application/json", "max-age=60", "")
	}
	f.Add([]byte(good), "application/did+json; charset=utf-8", `max-age="99999999999", private`, "Thu, 01 Jan 1970 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, body []byte, contentType, cache, expires string) {
		now := time.Unix(1_800_000_000, 0)
		if ttl := freshFor(http.Header{"Cache-Control": {cache}, "Expires": {expires}}, now); ttl < 0 || ttl > documentMost {
			t.Fatalf("a document is kept for %s", ttl)
		}
		c, err := (&documents{keys: &fetchedKeys{}}).parse(id, contentType, body)
		if err != nil {
			return
		}
		if len(body) > MaxDocument || !json.Valid(body) {
			t.Fatal("what is no JSON of 5 KiB made a client")
		}
		if c.ID != id || c.document != "publisher.example" || !c.secret.IsZero() || c.configured || !c.Registered.IsZero() {
			t.Fatalf("the client is %+v", c)
		}
		if c.Name == "" || len([]rune(c.Name)) > maxName || strings.ContainsAny(c.Name, "\x00\n\r") || len(c.RedirectURIs) == 0 {
			t.Fatalf("the client is %+v", c)
		}
		for _, uri := range c.RedirectURIs {
			if kind, err := targetOf(uri); err != nil || c.Type == typeWeb && kind != targetWeb {
				t.Fatalf("the client of type %s has the redirect URI %q", c.Type, uri)
			}
		}
	})
}
