package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault/provider"
)

// canned answers every request with one body.
type canned struct {
	status     int
	kind, body string
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}}, Request: req,
		Body: io.NopCloser(strings.NewReader(c.body)),
	}, nil
}

// answering is a token endpoint that says what it is asked to say.
type answering func() string

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return canned{http.StatusOK, "application/json", a()}.RoundTrip(req)
}

// FuzzTokenAnswer: whatever a token endpoint says, there is a grant whose token
// fits a header, or an error of ours that does not repeat it.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a","expires_in":"3600","scope":"x y"}`)
	f.Add(200, "application/x-www-form-urlencoded", "access_token=a&scope=x%2Cy")
	f.Add(200, "application/json", `{"ok":true,"authed_user":{"access_token":"a"}}`)
	f.Add(400, "application/json", `{"error":"invalid_grant"}`)
	f.Add(200, "text/plain", `{"access_token":"a","access_token":"b"}`)
	f.Add(500, "", "oops")
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 200 || status > 599 {
			return
		}
		for _, vendor := range []string{"slack", "salesforce", "github", "microsoft"} {
			c, err := provider.NewConnection(registration(t, vendor, nil), provider.Config{
				HTTP: &http.Client{Transport: canned{status, kind, body}}, Now: noon,
			})
			if err != nil {
				t.Fatal(err)
			}
			g, err := c.Refresh(t.Context(), provider.NewSecret("refresh-1"), []string{"x"})
			var e *provider.TokenError
			switch {
			case err == nil && (g.Access.IsZero() || strings.ContainsAny(g.Access.Reveal(), " \r\n\x00")):
				t.Errorf("took the token %q", g.Access.Reveal())
			case err != nil && (!errors.As(err, &e) || e.Class == "" || len(e.Error()) > 200):
				t.Errorf("got %v", err)
			case err == nil && !g.Expiry.IsZero() && !g.Expiry.After(noon()):
				t.Errorf("expires %v", g.Expiry)
			}
		}
	})
}

// FuzzScopes: whatever an answer says was granted is stored as a set that reads
// back the same, and a scope that the catalog does not know covers nothing but itself.
func FuzzScopes(f *testing.F) {
	f.Add("calendar.readonly,calendar", "calendar.events")
	f.Add("openid email https://graph.microsoft.com/Mail.Read", "mail.read")
	f.Add("https://graph.microsoft.com/https://graph.microsoft.com/x", "x")
	f.Add("repo\tuser\nrepo", "public_repo")
	f.Add("chat:write\u00a0admin", "admin")
	f.Add("FULL\x00api", "api")
	f.Add("\xff", "\xef\xbf\xbd")
	catalog := provider.Catalog()
	connections := make(map[string]*provider.Connection)
	var answer string
	for _, vendor := range []string{"google", "slack", "salesforce", "github", "microsoft", "box"} {
		c, err := provider.NewConnection(registration(f, vendor, nil), provider.Config{HTTP: &http.Client{Transport: answering(func() string { return answer })}, Now: noon})
		if err != nil {
			f.Fatal(err)
		}
		connections[vendor] = c
	}
	f.Fuzz(func(t *testing.T, granted, want string) {
		text, err := json.Marshal(map[string]any{"access_token": "a", "token_type": "bearer", "scope": granted})
		if err != nil {
			t.Fatal(err)
		}
		answer = string(text)
		for vendor, c := range connections {
			p, _ := catalog.Lookup(vendor)
			g, err := c.Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			if err != nil {
				t.Fatalf("%s: %v", vendor, err)
			}
			if back := provider.ParseScopes(provider.FormatScopes(g.Scopes)); !slices.Equal(back, g.Scopes) {
				t.Errorf("%s: granted %q, read back as %q", vendor, g.Scopes, back)
			}
			for _, s := range append(slices.Clone(g.Scopes), want) {
				coversOnlyWhatIsKnown(t, p, s, want)
			}
		}
	})
}

func coversOnlyWhatIsKnown(t *testing.T, p *provider.Provider, granted, want string) {
	t.Helper()
	once := p.Normalize(granted)
	if p.Normalize(once) != once {
		t.Errorf("%s: %q is normalized to %q, and that to %q", p.Name, granted, once, p.Normalize(once))
	}
	same := once == p.Normalize(want)
	if covers := p.Covers([]string{granted}, want); same && !covers || covers && !same && !(p.Knows(granted) && p.Knows(want)) {
		t.Errorf("%s: %q covers %q: %t", p.Name, granted, want, covers)
	}
}

// TestManyAtOnce: calls that run side by side over one client each carry a live token.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET graph.microsoft.com/x", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access-2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	client := bearer(n.connection("microsoft", nil), "access-1").Client(n.client().Transport, func(_ context.Context, b provider.Bearer) (provider.Bearer, error) {
		b.Token = provider.NewSecret("access-2")
		return b, nil
	})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.microsoft.com/x", nil)
			resp, err := client.Do(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("got %v, %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	wg.Wait()
	for _, sent := range n.took() {
		if !strings.Contains(sent, "Authorization: Bearer access-") {
			t.Errorf("sent %q", sent)
		}
	}
}

// challenging answers every call with one WWW-Authenticate.
type challenging struct {
	status    int
	challenge string
}

func (c challenging) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Header: http.Header{"Www-Authenticate": {c.challenge}}, Request: req, Body: http.NoBody,
	}, nil
}

// FuzzChallenge: whatever a vendor's WWW-Authenticate says, the scopes that come
// of it are ones that the catalog or the registration knows, so that a vendor
// cannot make Grantry ask a person for anything else; and an answer that is not about scopes asks for none.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{
		`Bearer realm="x", error="insufficient_scope", scope="https://www.googleapis.com/auth/calendar.events"`,
		`Bearer error=insufficient_scope, scope="public_repo repo"`, `Bearer error="invalid_token"`, `Bearer error="insufficient_scope", scope="unheard.of"`,
		`Bearer scope="`, `Bearer error="insufficient_scope`, `Basic realm="error=\"insufficient_scope\""`, "Bearer error=\"insufficient_scope\", scope=\"a\x00b\"", ``,
	} {
		f.Add(403, seed)
		f.Add(401, seed)
	}
	f.Fuzz(func(t *testing.T, status int, challenge string) {
		if status < 400 || status > 599 {
			return
		}
		for _, vendor := range []string{"google", "github", "oidc"} {
			c, err := provider.NewConnection(registration(t, vendor, nil), provider.Config{HTTP: &http.Client{Transport: challenging{status, challenge}}, Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			_, err = bearer(c, "access-1").Client(challenging{status, challenge}, nil).Get("https://" + apiHost(vendor) + "/thing")
			var missing *provider.ScopeError
			if !errors.As(err, &missing) {
				continue
			}
			if !strings.Contains(strings.ToLower(challenge), "insufficient_scope") && vendor != "github" {
				t.Errorf("%s: %q asks for %q", vendor, challenge, missing.Scopes)
			}
			for _, s := range missing.Scopes {
				if s == "" || strings.ContainsAny(s, " \"\r\n\x00") || !strings.Contains(strings.ToLower(challenge), strings.ToLower(s)) && vendor != "google" {
					t.Errorf("%s: %q asks for %q", vendor, challenge, s)
				}
			}
		}
	})
}
