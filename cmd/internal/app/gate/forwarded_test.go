package gate_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app/gate"
)

// TestR46Forwarded: only what a trusted proxy appended counts, and nothing of it
// reaches a handler in a header.
func TestR46Forwarded(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		peer string
		via  []string
		want string
	}{
		{"192.0.2.7:1234", []string{"203.0.113.9"}, "192.0.2.7:1234"},
		{"10.0.0.1:1234", nil, "10.0.0.1:1234"},
		{"10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"[::1]:1234", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"[::ffff:10.0.0.1]:1234", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"10.0.0.1:1234", []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9:0"}, // the client wrote the first
		{"10.0.0.1:1234", []string{"127.0.0.1", "203.0.113.9, 10.0.0.2"}, "203.0.113.9:0"},
		{"10.0.0.1:1234", []string{"203.0.113.9:443"}, "203.0.113.9:0"},
		{"10.0.0.1:1234", []string{"[2001:db8::1]:443"}, "[2001:db8::1]:0"},
		{"10.0.0.1:1234", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3:0"},
		{"10.0.0.1:1234", []string{"unknown"}, "10.0.0.1:0"},
		{"10.0.0.1:1234", []string{"203.0.113.9, _hidden"}, "10.0.0.1:0"},
		{"10.0.0.1:1234", []string{""}, "10.0.0.1:0"},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://grantry.example.com/", nil)
		r.RemoteAddr = c.peer
		for _, v := range c.via {
			r.Header.Add("X-Forwarded-For", v)
		}
		r.Header.Set("X-Forwarded-Host", "evil.example.com")
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("Forwarded", "for=203.0.113.10")
		gate.Forwarded(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.RemoteAddr != c.want {
				t.Errorf("from %s by %q: %s, want %s", c.peer, c.via, r.RemoteAddr, c.want)
			}
			if len(r.Header) > 0 || r.Host != "grantry.example.com" {
				t.Errorf("headers %v, host %s", r.Header, r.Host)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}
