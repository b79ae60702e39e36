package provider_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/provider"
)

// sentTo notes where requests go, and with which bearer.
type sentTo struct{ url, bearer string }

func (s *sentTo) RoundTrip(r *http.Request) (*http.Response, error) {
	s.url, s.bearer = r.URL.String(), r.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// TestPlace: an API host by its name, and where the transport then really sends.
func TestPlace(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	ghe := n.connection("github", func(r *provider.Registration) { r.Endpoints.API = "https://ghe.example.com/api/v3" })
	local := n.connection("oauth2", func(r *provider.Registration) {
		r.LoopbackHTTP, r.APIHosts = true, []string{"127.0.0.1:9", "api.example.com", "*.more.example.com"}
	})
	for _, c := range []struct {
		conn *provider.Connection
		base string // of the token answer
		host string
		want string // "" = refused
	}{
		{n.connection("google", nil), "", "", "https://www.googleapis.com"},
		{n.connection("google", nil), "", "Gmail.googleapis.com", "https://gmail.googleapis.com"},
		{n.connection("google", nil), "", "evil.example", ""},
		{n.connection("google", nil), "", "gmail.googleapis.com:444", ""},
		{n.connection("google", nil), "", "gmail.googleapis.com@evil.example", ""},
		{n.connection("slack", nil), "", "", "https://slack.com"},
		{ghe, "", "", "https://ghe.example.com/api/v3"},
		{ghe, "", "api.github.com", "https://ghe.example.com/api/v3"},
		{ghe, "", "github.com", ""},
		{n.connection("salesforce", nil), "https://acme.my.salesforce.com", "", "https://acme.my.salesforce.com"},
		{n.connection("salesforce", nil), "https://acme.my.salesforce.com", "acme.my.salesforce.com", "https://acme.my.salesforce.com"},
		{n.connection("salesforce", nil), "https://acme.my.salesforce.com", "other.my.salesforce.com", ""},
		{n.connection("salesforce", nil), "https://acme.my.salesforce.com", "login.salesforce.com", ""},
		{n.connection("salesforce", nil), "https://evil.example", "", ""},
		{local, "", "", "http://127.0.0.1:9"},
		{local, "", "api.example.com", "https://api.example.com"},
		{local, "", "a.more.example.com", ""},
		{local, "", "*.more.example.com", ""},
	} {
		b := provider.Bearer{Token: provider.NewSecret("t"), Connection: c.conn, APIBase: c.base}
		at, err := b.Place(c.host)
		if refused, ok := errors.AsType[*provider.HostError](err); c.want == "" {
			if !ok || refused.Connection != c.conn.Name() {
				t.Errorf("%s %q: %v, %v", c.conn.Name(), c.host, at, err)
			}
			continue
		}
		if err != nil || at.String() != c.want {
			t.Errorf("%s %q: %v, %v, want %s", c.conn.Name(), c.host, at, err, c.want)
			continue
		}
		seen := &sentTo{}
		resp, err := b.Client(seen, nil).Get(at.String() + "/a/b?c=d")
		if err != nil || seen.url != c.want+"/a/b?c=d" || seen.bearer != "Bearer t" {
			t.Errorf("%s %q: sent to %+v, %v", c.conn.Name(), c.host, seen, err)
			continue
		}
		_ = resp.Body.Close()
	}
}
