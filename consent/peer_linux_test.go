package consent_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/grantry/grantry/consent"
)

// TestSameUser: a browser's socket is looked up on both families, and only the vault's own user passes.
func TestSameUser(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("no %s on this machine: %v", addr, err) // the container has no IPv6
			continue
		}
		mine, theirs := consent.SameUser(os.Getuid()), consent.SameUser(os.Getuid()+1)
		got := make(chan [2]error, 1)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- [2]error{mine(r), theirs(r)} }))
		srv.Listener.Close()
		srv.Listener = l
		srv.Start()
		t.Cleanup(srv.Close)
		_, p, _ := net.SplitHostPort(l.Addr().String())
		host := "127.0.0.1"
		if addr[0] == '[' {
			host = "::1"
		}
		resp, err := srv.Client().Get("http://" + net.JoinHostPort(host, p))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if errs := <-got; errs[0] != nil || !errors.Is(errs[1], consent.ErrPeerOther) {
			t.Errorf("%s: own user %v, another user %v", addr, errs[0], errs[1])
		}
	}
}

// TestPeerUnknown: a socket that is in no table is nobody's, so it is refused.
func TestPeerUnknown(t *testing.T) {
	t.Parallel()
	check := consent.SameUser(os.Getuid())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, remote := range []string{"127.0.0.1:1", "192.0.2.1:1234", "@", ""} {
		r.RemoteAddr = remote
		for _, ctx := range []context.Context{
			t.Context(), context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2}),
		} {
			if err := check(r.WithContext(ctx)); !errors.Is(err, consent.ErrPeerUnknown) {
				t.Errorf("%q: %v", remote, err)
			}
		}
	}
}
