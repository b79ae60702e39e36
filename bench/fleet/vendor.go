package fleet

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Policy is how a vendor treats the refresh tokens of a person. All rotate.
type Policy struct {
	Grace  time.Duration // how long a spent one is still taken; 0 = not at all
	Family bool          // one that comes after its grace ends the whole grant
}

// Answer is what a vendor sends for a refresh that it has accepted.
type Answer string

// The answers.
const (
	Whole  Answer = ""       // as it should be
	Cut    Answer = "cut"    // a 200 whose JSON stops in the middle
	Status Answer = "status" // a 500
	None   Answer = "none"   // the connection closes
)

// Act is what a vendor does with one refresh, instead of answering at once. The
// functions get the instance id of the process that sent it and run without locks.
type Act struct {
	Before func(worker string) // on receipt; nothing has happened yet
	Ignore bool                // then nothing happens and the connection closes
	After  func(worker string) // the token is spent; nothing is answered yet
	Answer Answer
}

// VendorConfig is how a vendor behaves.
type VendorConfig struct {
	Life   time.Duration               // of access tokens, in whole seconds; 0 = an hour
	First  func() time.Duration        // life of the first one after a consent; nil = Life
	OpenID bool                        // every answer has an id_token
	Policy func(subject string) Policy // nil = strict: no grace, no family
	Act    func(subject string) Act    // for refreshes that no Act was planned for; nil = answer at once
}

// Vendor is an OAuth server that holds the truth. It is safe for concurrent use.
type Vendor struct {
	cfg VendorConfig
	srv *httptest.Server
	key jose.JSONWebKey // zero without OpenID

	mu      sync.Mutex
	ahead   time.Duration
	people  map[string]*person
	refresh map[string]*refreshToken
	access  map[string]*accessToken
	ended   map[string]time.Time // processes, by instance id
}

// person is somebody's account at the vendor, with the grant of their last consent.
type person struct {
	subject  string
	consents int
	killer   *refreshToken // whose reuse ended the grant
	revoked  bool          // by the person, at the vendor
	refused  *refreshToken // the last one that was sent and not taken
	plans    []Act
}

// NewVendor starts a vendor on a free loopback port.
func NewVendor(cfg VendorConfig) (*Vendor, error) {
	cfg.Life = cmp.Or(cfg.Life, time.Hour)
	if cfg.First == nil {
		cfg.First = func() time.Duration { return cfg.Life }
	}
	if cfg.Policy == nil {
		cfg.Policy = func(string) Policy { return Policy{} }
	}
	if cfg.Act == nil {
		cfg.Act = func(string) Act { return Act{} }
	}
	v := &Vendor{
		cfg: cfg, people: map[string]*person{}, refresh: map[string]*refreshToken{}, access: map[string]*accessToken{},
		ended: map[string]time.Time{},
	}
	if cfg.OpenID {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making the vendor's key: %w", err)
		}
		v.key = jose.JSONWebKey{Key: private, KeyID: "1", Algorithm: string(jose.ES256), Use: "sig"}
	}
	v.srv = httptest.NewServer(v.routes())
	return v, nil
}

func (v *Vendor) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", v.token)
	mux.HandleFunc("GET /userinfo", v.userinfo)
	mux.HandleFunc("GET /whoami", v.whoami)
	mux.HandleFunc("POST /revoke", v.revoke)
	mux.HandleFunc("GET /.well-known/openid-configuration", v.discovery)
	mux.HandleFunc("GET /jwks", v.jwks)
	return mux
}

// URL is where the vendor listens, without a slash at the end.
func (v *Vendor) URL() string { return v.srv.URL }

// Close ends the vendor, and with it requests under way.
func (v *Vendor) Close() {
	v.srv.CloseClientConnections()
	v.srv.Close()
}

// Advance sets the vendor's clock forward.
func (v *Vendor) Advance(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ahead += d
}

// Plan says what happens to the next refreshes of a person, one after another.
func (v *Vendor) Plan(subject string, acts ...Act) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.person(subject).plans = acts
}

// Revoke ends a person's grant, as they could on the vendor's own page.
func (v *Vendor) Revoke(subject string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.person(subject).revoked = true
}

// now needs the lock.
func (v *Vendor) now() time.Time { return time.Now().Add(v.ahead) }

// person needs the lock.
func (v *Vendor) person(subject string) *person {
	p := v.people[subject]
	if p == nil {
		p = &person{subject: subject}
		v.people[subject] = p
	}
	return p
}

func (v *Vendor) token(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") == "authorization_code" {
		subject, nonce, _ := strings.Cut(r.FormValue("code"), "~")
		v.identify(w, subject, nonce, v.consent(subject))
		return
	}
	worker, raw := r.Header.Get(workerHeader), r.FormValue("refresh_token")
	act := v.plan(raw)
	if act.Before != nil {
		act.Before(worker)
	}
	if act.Ignore {
		panic(http.ErrAbortHandler)
	}
	out := v.spend(raw, worker, act.Answer)
	if act.After != nil {
		act.After(worker)
	}
	switch {
	case out == nil:
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	case act.Answer == None:
		panic(http.ErrAbortHandler)
	case act.Answer == Status:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case act.Answer == Cut:
		b, _ := json.Marshal(out)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b[:len(b)/2])
	default:
		if scope := r.FormValue("scope"); scope != "" { // it narrows
			out["scope"] = scope
		}
		subject, _, _ := strings.Cut(raw, "~")
		v.identify(w, subject, "", out)
	}
}

// plan notes that a refresh token was sent, and takes the next act for whose it is.
func (v *Vendor) plan(raw string) Act {
	v.mu.Lock()
	t := v.refresh[raw]
	if t == nil {
		v.mu.Unlock()
		return Act{}
	}
	t.sends++
	if plans := t.owner.plans; len(plans) > 0 {
		t.owner.plans = plans[1:]
		v.mu.Unlock()
		return plans[0]
	}
	v.mu.Unlock()
	return v.cfg.Act(t.owner.subject)
}

func (v *Vendor) userinfo(w http.ResponseWriter, r *http.Request) {
	subject, _, _ := strings.Cut(bearer(r), "~")
	writeJSON(w, http.StatusOK, map[string]any{"sub": subject})
}

// whoami is the vendor's API: whose token this is, and its serial number.
func (v *Vendor) whoami(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.access[bearer(r)]
	if t == nil || !v.now().Before(t.expires) || t.owner.revoked {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	t.used = true
	writeJSON(w, http.StatusOK, map[string]any{"serial": t.serial, "subject": t.owner.subject})
}

func (v *Vendor) revoke(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.refresh[r.FormValue("token")]; t != nil {
		t.owner.revoked = true
	}
	w.WriteHeader(http.StatusOK)
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func writeJSON(w http.ResponseWriter, status int, out map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func draw(subject, kind string) string { return fmt.Sprintf("%s~%s%s", subject, kind, rand.Text()) }
