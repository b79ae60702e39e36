package guard_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/grantry/grantry/mcp/guard"
)

// loopback exempts the servers of these tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool
}

// names answers every question for an A record with the next of addresses, the last for good.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	var mu sync.Mutex
	next := func() [4]byte {
		mu.Lock()
		defer mu.Unlock()
		a := netip.MustParseAddr(addresses[0]).As4()
		if len(addresses) > 1 {
			addresses = addresses[1:]
		}
		return a
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response = true
			m.Additionals = nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}, Body: &dnsmessage.AResource{A: next()},
				}}
			}
			if raw, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(raw, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestR65Targets: whatever way loopback and private networks are written, no connection is made.
func TestR65Targets(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	s, pool := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := guard.New(guard.Config{RootCAs: pool, Timeout: 2 * time.Second})
	for _, host := range []string{
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "169.254.169.254", "100.64.0.1", "10.0.0.1", "[fc00::1]", "[fe80::1]", "[fe80::1%25lo]", "[64:ff9b::7f00:1]",
		"[2002:7f00:1::1]", "[2001:0:7f00:1::1]", "[2606:4700::5efe:7f00:1]", "127.0.0.1.",
	} {
		_, err := c.Get(t.Context(), "https://"+host+":"+port+"/")
		if !errors.Is(err, guard.ErrNotPublic) && !errors.Is(err, guard.ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// TestR65PrivateAnswers: a public name with a private address is refused after DNS.
func TestR65PrivateAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"10.0.0.7", "127.0.0.1", "169.254.169.254", "192.168.0.1", "100.100.100.200"} {
		c := guard.New(guard.Config{Resolver: names(t, answer), Timeout: 2 * time.Second})
		if _, err := c.Get(t.Context(), "https://client.example.com/client.json"); !errors.Is(err, guard.ErrNotPublic) {
			t.Errorf("a name with the address %s: %v", answer, err)
		}
	}
}

// TestR66NamesThatTurn: the check is on the address that is dialled, for each fetch anew.
func TestR66NamesThatTurn(t *testing.T) {
	t.Parallel()
	s, pool := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c := guard.New(guard.Config{RootCAs: pool, Exempt: loopback, Resolver: names(t, "127.0.0.1", "10.0.0.7"), Timeout: 2 * time.Second})
	address := "https://example.com:" + port + "/" // a name of httptest's certificate
	if _, err := c.Get(t.Context(), address); err != nil {
		t.Fatalf("first: %v", err)
	}
	if _, err := c.Get(t.Context(), address); !errors.Is(err, guard.ErrNotPublic) {
		t.Errorf("once the name leads to 10.0.0.7: %v", err)
	}
}

// TestR66NoProxy: a proxy of the environment is not asked, since it would dial for us.
func TestR66NoProxy(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	c := guard.New(guard.Config{Resolver: names(t, "10.0.0.7"), Timeout: 2 * time.Second})
	if _, err := c.Get(t.Context(), "https://client.example.com/"); !errors.Is(err, guard.ErrNotPublic) {
		t.Errorf("with a proxy set: %v", err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

// TestR67NoRedirect: a redirect of a stranger is an answer like any other failure.
func TestR67NoRedirect(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	s, pool := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			followed.Add(1)
			return
		}
		http.Redirect(w, r, "/there", http.StatusFound)
	})
	c := guard.New(guard.Config{RootCAs: pool, Exempt: loopback})
	_, err := c.Get(t.Context(), s.URL)
	if status, ok := errors.AsType[*guard.StatusError](err); !ok || status.Status != http.StatusFound {
		t.Errorf("a redirect: %v", err)
	}
	if followed.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// TestGetBounds: a document has a size, a time and a plain form.
func TestGetBounds(t *testing.T) {
	t.Parallel()
	s, pool := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			w.Header().Set("Cache-Control", "max-age=60")
			_, _ = io.WriteString(w, `{"client_id":"x"}`)
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte{' '}, 1001))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 1<<20))
			_ = z.Close()
		case "/headers":
			w.Header().Set("X-Long", strings.Repeat("x", 64<<10))
		case "/slow":
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // or the end of the body would be a proper one
		}
	})
	c := guard.New(guard.Config{RootCAs: pool, Exempt: loopback, MaxBytes: 1000, Timeout: 500 * time.Millisecond})
	doc, err := c.Get(t.Context(), s.URL+"/good")
	if err != nil || string(doc.Body) != `{"client_id":"x"}` || doc.Header.Get("Cache-Control") != "max-age=60" {
		t.Fatalf("a good one: %v, %v", doc, err)
	}
	if _, err := c.Get(t.Context(), s.URL+"/large"); !errors.Is(err, guard.ErrTooLarge) {
		t.Errorf("a large one: %v", err)
	}
	if _, err := c.Get(t.Context(), s.URL+"/slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow one: %v", err)
	}
	for _, path := range []string{"/bomb", "/headers"} {
		if _, err := c.Get(t.Context(), s.URL+path); err == nil {
			t.Errorf("%s passes", path)
		}
	}
}

// TestAddresses: only a plain https address is fetched.
func TestAddresses(t *testing.T) {
	t.Parallel()
	c := guard.New(guard.Config{})
	for _, address := range []string{
		"http://example.com/", "file:///etc/passwd", "https://", "https://user:pw@example.com/", "https://example.com/#x", "https:example.com",
		"//example.com/", "gopher://example.com/", "https://1.2.3.0x4/", "https://example.com:99999999/\x00", "",
	} {
		if _, err := c.Get(t.Context(), address); !errors.Is(err, guard.ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
