package app

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

// routes is the table of DESIGN's HTTP section: health outside of the Host check, everything else behind it.
func (a *App) routes(v *vault.Vault, m *mcp.Server, pages *consent.Handler, d *door, publicURL string) http.Handler {
	inner := http.NewServeMux()
	pages.Mount(inner)
	if m != nil {
		inner.Handle("/mcp", m.Handler())
		inner.Handle("/.well-known/oauth-protected-resource", m.ProtectedResource())
		inner.Handle("/.well-known/oauth-protected-resource/mcp", m.ProtectedResource())
		d.mount(inner)
	}
	inner.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/connections", http.StatusSeeOther) })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := v.Ready(r.Context()); err != nil {
			a.log.Error("not ready", "error", err)
			plain(w, http.StatusServiceUnavailable, "the vault cannot be written")
			return
		}
		plain(w, http.StatusOK, "ready")
	})
	mux.Handle("/", a.hosts(v, publicURL, inner))
	return mux
}

// bare are the headers of an answer that nobody dressed otherwise (a 404 of the mux).
func bare(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

func plain(w http.ResponseWriter, code int, text string) {
	bare(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}

// hosts refuses requests for a name that is not ours: the answer to DNS
// rebinding (R38). An entry without a port holds for any port.
func (a *App) hosts(v *vault.Vault, publicURL string, next http.Handler) http.Handler {
	allowed := slices.Clone(a.cfg.AllowedHosts)
	if u, err := url.Parse(publicURL); err == nil {
		allowed = append(allowed, strings.ToLower(u.Hostname()), strings.ToLower(u.Host))
	}
	if loopbackAddress(a.cfg.Listen) {
		allowed = append(allowed, "localhost", "127.0.0.1", "::1")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bare(w.Header())
		if !allowedHost(allowed, r.Host) {
			if err := v.Note(r.Context(), vault.Entry{Kind: "request.refused", Result: "refused", Reason: "host"}); err != nil {
				a.log.Error("writing audit", "error", err)
			}
			const text = "this server does not answer to that host name; if it should, add it to allowed_hosts"
			if sts.ForProxy(r) {
				w.Header().Set(sts.ProxyError, "invalid_request")
			}
			if sts.ForProxy(r) || strings.HasPrefix(r.URL.Path, "/oauth/") { // whose clients read nothing else
				tokenError(w, http.StatusForbidden, "invalid_request", text)
				return
			}
			plain(w, http.StatusForbidden, text)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func allowedHost(allowed []string, host string) bool {
	host = strings.ToLower(host)
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	return slices.Contains(allowed, host) || slices.Contains(allowed, name)
}
