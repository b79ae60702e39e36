package sandbox

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// mountControl adds the control API. Every call carries ControlSecret as bearer token; an error is
// {"error": "a sentence"}.
//
//	POST   /control/token    {"user","client_id"[,"audience","scope","expires_in"]} -> {"access_token"}: an
//	                         access token of the issuer for PublicURL/mcp, or for the audience given
//	GET    /control/grants   -> [{"vendor","user","live","spent"}], one entry for each person and vendor that
//	                         ever met, in that order of time. live: some access or refresh token that was
//	                         given would still be accepted. spent: how many refresh tokens the vendor has
//	                         accepted from this person's grants, ended ones included
//	POST   /control/faults   {"vendor","kind"[,"times","delay_ms","status","endpoint","user"]}: see fault
//	DELETE /control/faults   takes back all that still wait, and rotate_strict
//	GET    /control/requests -> {"google":{"token":3,"api":10,…},…}, requests since New, refused and faulted
//	                         ones included; endpoints are authorize, token, revoke, userinfo, api,
//	                         discovery and, at the issuer, register
func (s *Sandbox) mountControl(mux *http.ServeMux) {
	guarded := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(digest(bearer(r))), []byte(digest(s.control))) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="sandbox control"`)
				writeJSON(w, http.StatusUnauthorized, reply{"error": "the control API needs the secret that was printed at start, as bearer token"})
				return
			}
			h(w, r)
		})
	}
	guarded("POST /control/token", s.controlToken)
	guarded("GET /control/grants", s.controlGrants)
	guarded("POST /control/faults", s.controlFaults)
	guarded("DELETE /control/faults", s.controlCalm)
	guarded("GET /control/requests", s.controlRequests)
}

// readControl decodes a request, refusing keys it does not know.
func readControl(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		badControl(w, fmt.Errorf("reading the request: %w", err))
		return false
	}
	return true
}

func badControl(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, reply{"error": err.Error()})
}

func (s *Sandbox) controlToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		User      string `json:"user"`
		ClientID  string `json:"client_id"`
		Audience  string `json:"audience"`
		Scope     string `json:"scope"`
		ExpiresIn int    `json:"expires_in"` // seconds; negative: already expired
	}
	if !readControl(w, r, &in) {
		return
	}
	p, known := findPerson(in.User)
	if !known || in.ClientID == "" {
		badControl(w, fmt.Errorf("a token needs a client_id and a user who is alice or bob, not %q", in.User))
		return
	}
	aud := []string{cmp.Or(in.Audience, s.cfg.PublicURL+"/mcp")}
	life := time.Duration(cmp.Or(in.ExpiresIn, int(issuerAccessTTL/time.Second))) * time.Second
	raw, err := s.accessJWT(p, in.ClientID, aud, strings.Fields(in.Scope), life)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, reply{"error": "the token could not be signed"})
		return
	}
	writeToken(w, http.StatusOK, reply{"access_token": raw})
}

func (s *Sandbox) controlGrants(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		Vendor string `json:"vendor"`
		User   string `json:"user"`
		Live   bool   `json:"live"`
		Spent  int    `json:"spent"`
	}
	out := []*entry{}
	at := map[string]*entry{}
	s.view(func(st *state) {
		for _, g := range st.Grants {
			if g.Vendor == issuer {
				continue
			}
			e := at[g.Vendor+" "+g.User]
			if e == nil {
				e = &entry{Vendor: g.Vendor, User: g.User}
				at[g.Vendor+" "+g.User] = e
				out = append(out, e)
			}
			e.Spent += g.Spent
			e.Live = e.Live || st.live(g, s.cfg.Now())
		}
	})
	writeJSON(w, http.StatusOK, out)
}

func (s *Sandbox) controlFaults(w http.ResponseWriter, r *http.Request) {
	var f fault
	if !readControl(w, r, &f) {
		return
	}
	if err := f.check(); err != nil {
		badControl(w, err)
		return
	}
	s.update(func(st *state) { st.inject(f, s.cfg.Now()) })
	writeJSON(w, http.StatusOK, reply{"ok": true})
}

func (s *Sandbox) controlCalm(w http.ResponseWriter, _ *http.Request) {
	s.update(func(st *state) { st.Faults, st.Strict = nil, map[string]bool{} })
	writeJSON(w, http.StatusOK, reply{"ok": true})
}

func (s *Sandbox) controlRequests(w http.ResponseWriter, _ *http.Request) {
	out := map[string]map[string]int{google: {}, slack: {}, salesforce: {}, issuer: {}}
	s.view(func(*state) {
		for vendor, n := range s.seen {
			out[vendor] = maps.Clone(n)
		}
	})
	writeJSON(w, http.StatusOK, out)
}
