package sandbox

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// fault is a trouble that waits for its next requests. The kinds, and what each does precisely:
//
//	revoke         kills the grants of the vendor at once (of "user" only, if given), as the person would
//	               in the vendor's account page: access and refresh tokens are refused from now on
//	expire         all access tokens of the vendor (of "user" only) are expired from now on; refresh works
//	rotate_strict  from now on a refresh gives a new refresh token and kills the old one at once, and the
//	               reuse of a dead one kills the whole grant; stays until DELETE /control/faults
//	drop_refresh   the next "times" code redemptions answer without a refresh token
//	narrow_scopes  the next "times" consents grant only the identity scopes among those asked; the first
//	               scope if there is none
//	delay          the next "times" requests to token endpoint, userinfo and API wait "delay_ms" before
//	               anything happens; a client that hangs up meanwhile has changed nothing
//	status         the next "times" such requests answer with "status" (default 503), nothing happens
//	retry_after    the next "times" API calls answer 429 with Retry-After: 1, nothing happens
//	truncate       the next "times" token answers are a 200 whose JSON stops in the middle; the code or
//	               refresh token in the request is spent all the same
//
// "times" defaults to 1. "endpoint" ("token", "userinfo" or "api") holds delay and status to one of them;
// "revoke" is hit only by those that name it.
type fault struct {
	Vendor   string `json:"vendor"`
	Kind     string `json:"kind"`
	Times    int    `json:"times"`
	DelayMS  int    `json:"delay_ms,omitempty"`
	Status   int    `json:"status,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	User     string `json:"user,omitempty"`
}

// check says in a sentence what is wrong with a fault, and fills in the defaults.
func (f *fault) check() error {
	waiting := []string{"drop_refresh", "narrow_scopes", "delay", "status", "retry_after", "truncate"}
	now := []string{"revoke", "expire", "rotate_strict"}
	if f.Times == 0 {
		f.Times = 1
	}
	f.Status = cmp.Or(f.Status, http.StatusServiceUnavailable)
	_, known := findPerson(f.User)
	switch {
	case !slices.Contains([]string{google, slack, salesforce}, f.Vendor):
		return fmt.Errorf("no vendor is called %q here; there are google, slack and salesforce", f.Vendor)
	case !slices.Contains(waiting, f.Kind) && !slices.Contains(now, f.Kind):
		return fmt.Errorf("no fault is called %q; there are %q and %q", f.Kind, now, waiting)
	case f.Times < 0:
		return fmt.Errorf("times must be 1 or more, not %d", f.Times)
	case f.Kind == "delay" && (f.DelayMS <= 0 || f.DelayMS > 600_000):
		return fmt.Errorf("a delay needs delay_ms between 1 and 600000, not %d", f.DelayMS)
	case f.Status < 400 || f.Status > 599:
		return fmt.Errorf("status must be between 400 and 599, not %d", f.Status)
	case !slices.Contains([]string{"", "token", "userinfo", "api", "revoke"}, f.Endpoint):
		return fmt.Errorf("endpoint must be token, userinfo, api or revoke, not %q", f.Endpoint)
	case f.User != "" && !known:
		return fmt.Errorf("no person is called %q here; there are alice and bob", f.User)
	}
	return nil
}

// inject puts a checked fault to work.
func (st *state) inject(f fault, now time.Time) {
	concerns := func(vendor, user string) bool {
		return vendor == f.Vendor && (f.User == "" || f.User == user)
	}
	switch f.Kind {
	case "revoke":
		for _, g := range st.Grants {
			g.Dead = g.Dead || concerns(g.Vendor, g.User)
		}
	case "expire":
		for _, t := range st.Access {
			if concerns(t.Vendor, t.User) && t.Expires.After(now) {
				t.Expires = now
			}
		}
	case "rotate_strict":
		st.Strict[f.Vendor] = true
	default:
		st.Faults = append(st.Faults, &f)
	}
}

// take uses a waiting fault up once, if there is one for this endpoint.
func (st *state) take(vendor, kind, endpoint string) *fault {
	for i, f := range st.Faults {
		if f.Vendor != vendor || f.Kind != kind || f.Endpoint != endpoint && (f.Endpoint != "" || endpoint == "revoke") {
			continue
		}
		f.Times--
		if f.Times <= 0 {
			st.Faults = slices.Delete(st.Faults, i, i+1)
		}
		return f
	}
	return nil
}

// hit is take from outside the lock; it writes the state only if there was a fault.
func (s *Sandbox) hit(vendor, kind, endpoint string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.state.take(vendor, kind, endpoint)
	if f != nil {
		s.keep()
		s.cfg.Logger.Info("sandbox fault", "vendor", vendor, "kind", kind, "endpoint", endpoint)
	}
	return f
}

// troubled puts the faults of the wire around an endpoint of a vendor.
func (s *Sandbox) troubled(vendor, endpoint string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.hit(vendor, "delay", endpoint); f != nil && !pause(r, time.Duration(f.DelayMS)*time.Millisecond) {
			return
		}
		if f := s.hit(vendor, "status", endpoint); f != nil {
			http.Error(w, "sandbox fault: status", f.Status)
			return
		}
		if endpoint == "api" && s.hit(vendor, "retry_after", endpoint) != nil {
			w.Header().Set("Retry-After", "1")
			throttled(w, vendor)
			return
		}
		if endpoint == "token" && s.hit(vendor, "truncate", endpoint) != nil {
			truncated(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// pause waits, and says false if the client has gone meanwhile.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// truncated lets the endpoint do its work and sends half of what it says.
func truncated(w http.ResponseWriter, r *http.Request, next http.Handler) {
	kept := &keeper{header: http.Header{}}
	next.ServeHTTP(kept, r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	body := kept.body.Bytes()
	w.Write(body[:len(body)/2])
}

// keeper is a ResponseWriter that keeps the body.
type keeper struct {
	header http.Header
	body   bytes.Buffer
}

func (k *keeper) Header() http.Header         { return k.header }
func (k *keeper) WriteHeader(int)             {}
func (k *keeper) Write(b []byte) (int, error) { return k.body.Write(b) }

// throttled is each vendor's own way of saying 429.
func throttled(w http.ResponseWriter, vendor string) {
	switch vendor {
	case google:
		googleError(w, http.StatusTooManyRequests, "rateLimitExceeded", "Rate Limit Exceeded")
	case slack:
		writeJSON(w, http.StatusTooManyRequests, reply{"ok": false, "error": "ratelimited"})
	default:
		sfError(w, http.StatusTooManyRequests, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")
	}
}
