package gate

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Forwarded lets the client's address be what a trusted proxy says it is, and
// takes the headers by which proxies speak away from all requests: nothing behind this line
// believes one (R46). What Grantry calls itself comes from public_url alone.
func Forwarded(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		via := r.Header.Values("X-Forwarded-For")
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Forwarded"} {
			r.Header.Del(name)
		}
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && within(trusted, peer.Addr()) && len(via) > 0 {
			c := *r
			c.RemoteAddr = netip.AddrPortFrom(clientOf(trusted, peer.Addr().Unmap(), via), 0).String()
			r = &c
		}
		next.ServeHTTP(w, r)
	})
}

func within(blocks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(blocks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// clientOf goes back through what each proxy has appended, to the first address
// that is not a trusted proxy's: what stands before it anybody can have written.
func clientOf(trusted []netip.Prefix, peer netip.Addr, via []string) netip.Addr {
	hops := strings.Split(strings.Join(via, ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, ok := hopAddress(strings.TrimSpace(hop))
		if !ok {
			return peer
		}
		if peer = a; !within(trusted, a) {
			return peer
		}
	}
	return peer
}

// hopAddress reads an address, with or without a port and brackets.
func hopAddress(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err == nil && a.Zone() == ""
}
