package consent

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/alexedwards/scs/v2"

	"github.com/grantry/grantry/vault"
)

// Handler serves the pages. Its neighbours are the vault, which decides, and
// the app's chain in front of it, which checks Host and sets time limits.
type Handler struct {
	cfg      Config
	public   *url.URL
	https    bool
	sessions *scs.SessionManager
	issuer   *issuer // nil on a local vault, where people sign in by a code
	pages    *pages
	origin   *http.CrossOriginProtection
	// signInTries and pairTries count wrong codes at /signin and at /pair.
	signInTries, pairTries *tries
}

// New checks the configuration and prepares the pages. It contacts nobody: the
// issuer's discovery is read at the first sign-in.
func New(cfg Config) (*Handler, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	h := &Handler{cfg: cfg, origin: http.NewCrossOriginProtection()}
	h.signInTries, h.pairTries = h.triesAt("signin"), h.triesAt("pair")
	h.public, _ = url.Parse(cfg.PublicURL) // validated
	h.https = h.public.Scheme == "https"
	h.sessions = h.newSessions()
	if cfg.SignIn != nil {
		h.issuer = newIssuer(cfg.SignIn.filled(), cfg.PublicURL+"/signin/callback", cfg.Now)
	}
	var err error
	if h.pages, err = parsePages(); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Handler) triesAt(page string) *tries {
	return &tries{records: h.cfg.Records, page: page, now: h.cfg.Now}
}

// Mount puts every page of this package on mux.
func (h *Handler) Mount(mux *http.ServeMux) {
	h.mountAssets(mux)
	h.mountTicket(mux)
	h.mountCallback(mux)
	h.mountConnections(mux)
	h.mountSignIn(mux)
	h.mountPair(mux)
	h.mountAgents(mux)
	h.mountActivity(mux)
}

// visit is one request by a browser, with who is behind it.
type visit struct {
	w http.ResponseWriter
	r *http.Request
	// person is who is signed in; zero when nobody is.
	person vault.Person
	// own says that the browser is known to be the local person's: nobody signs in there.
	own bool
	// vouched says that nobody signed in: an application answers for person being who sits there.
	vouched bool
	// visitor is then what this browser is told by, "" before it has a cookie.
	visitor string
	// loaded says that the request holds a session; before that, answers set no cookie.
	loaded bool
}

func (v *visit) ctx() context.Context { return v.r.Context() }

func (v *visit) signedIn() bool { return !v.person.IsZero() }

// page wraps what every page has in common: headers, one address, the peer check, the session.
func (h *Handler) page(serve func(v *visit)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.setHeaders(w.Header())
		v := &visit{w: w, r: r}
		if h.elsewhere(v) || !h.peerAllowed(v) || !h.loadSession(v) {
			return
		}
		serve(v)
	})
}

// form wraps page for a POST: same origin, and a body that is a small form. The
// token is checked by the flow, which knows what it is bound to.
func (h *Handler) form(serve func(v *visit)) http.Handler {
	return h.page(func(v *visit) {
		if err := h.origin.Check(v.r); err != nil {
			h.forbidCrossSite(v)
			return
		}
		if h.parseForm(v) {
			serve(v)
		}
	})
}

// elsewhere moves a browser that came by another name of this machine
// (localhost for 127.0.0.1) to the public address: cookies belong to one host
// name, and some vendors send people back to the other one.
func (h *Handler) elsewhere(v *visit) bool {
	host, port, err := net.SplitHostPort(v.r.Host)
	if err != nil || v.r.Method != http.MethodGet || port != h.public.Port() ||
		host == h.public.Hostname() || !isLoopback(host) || !isLoopback(h.public.Hostname()) {
		return false
	}
	to := url.URL{Scheme: h.public.Scheme, Host: h.public.Host, Path: v.r.URL.Path, RawPath: v.r.URL.RawPath, RawQuery: v.r.URL.RawQuery}
	http.Redirect(v.w, v.r, to.String(), http.StatusSeeOther)
	return true
}

func (h *Handler) random() (string, error) { return randomFrom(h.cfg.Rand) }
