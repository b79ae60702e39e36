package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

type grantEntry struct {
	Vendor, User string
	Live         bool
	Spent        int
}

func (w *world) grants() []grantEntry {
	w.t.Helper()
	var out []grantEntry
	res := w.get(w.base+"/control/grants", w.box.ControlSecret())
	if err := json.Unmarshal(res.body, &out); err != nil {
		w.t.Fatalf("%v: %s", err, res.body)
	}
	return out
}

func (w *world) fault(f map[string]any) {
	w.t.Helper()
	res := w.postJSON(w.base+"/control/faults", w.box.ControlSecret(), f)
	if res.status != http.StatusOK {
		w.t.Fatalf("fault %v: %d %s", f, res.status, res.body)
	}
}

func (w *world) requests() map[string]map[string]int {
	w.t.Helper()
	var out map[string]map[string]int
	if err := json.Unmarshal(w.get(w.base+"/control/requests", w.box.ControlSecret()).body, &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestControlNeedsTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, secret := range []string{"", "wrong", w.box.ControlSecret() + "x"} {
		for _, path := range []string{"/control/grants", "/control/requests"} {
			want(t, path, w.get(w.base+path, secret).status, http.StatusUnauthorized)
		}
		for _, path := range []string{"/control/token", "/control/faults"} {
			want(t, path, w.postJSON(w.base+path, secret, map[string]any{"user": "alice", "client_id": "c"}).status, http.StatusUnauthorized)
		}
	}
}

func TestControlToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	res := w.postJSON(w.base+"/control/token", w.box.ControlSecret(), map[string]any{"user": "bob", "client_id": "tester"})
	typ, claims := w.claims(str(res.object(t), "access_token"), w.box.Issuer().JWKS, jose.ES256)
	want(t, "typ", typ, "at+jwt")
	want(t, "aud", str(claims, "aud"), public+"/mcp")
	want(t, "client_id", str(claims, "client_id"), "tester")
	want(t, "email", str(claims, "email"), "bob@example.com")
	want(t, "iss", str(claims, "iss"), w.base+"/issuer")
	want(t, "exp", claims["exp"], any(float64(now.Unix()+3600)))

	other := w.postJSON(w.base+"/control/token", w.box.ControlSecret(), map[string]any{"user": "bob", "client_id": "tester", "audience": "https://else.example", "expires_in": -5})
	_, claims = w.claims(str(other.object(t), "access_token"), w.box.Issuer().JWKS, jose.ES256)
	want(t, "aud", str(claims, "aud"), "https://else.example")
	want(t, "exp", claims["exp"], any(float64(now.Unix()-5)))

	for _, bad := range []map[string]any{{"user": "carol", "client_id": "c"}, {"user": "alice"}, {"user": "alice", "client_id": "c", "typo": 1}} {
		want(t, "bad request", w.postJSON(w.base+"/control/token", w.box.ControlSecret(), bad).status, http.StatusBadRequest)
	}
}

func TestControlGrantsAreTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.connect("google", "alice", gcal, "access_type", "offline")
	w.connect("slack", "bob", "chat:write")
	w.refresh("google", str(a, "refresh_token"))
	w.refresh("google", str(a, "refresh_token"))
	w.refresh("google", "1//0invented")
	if diff := cmp.Diff([]grantEntry{{"google", "alice", true, 2}, {"slack", "bob", true, 0}}, w.grants()); diff != "" {
		t.Error(diff)
	}
	w.fault(map[string]any{"vendor": "google", "kind": "revoke", "user": "bob"})
	want(t, "somebody else's", w.grants()[0].Live, true)
	w.fault(map[string]any{"vendor": "google", "kind": "revoke"})
	want(t, "revoked", w.grants()[0].Live, false)
	want(t, "another vendor's", w.grants()[1].Live, true)
	b := w.connect("google", "alice", gcal, "access_type", "offline")
	want(t, "a first consent again", str(b, "refresh_token") != "", true)
	if diff := cmp.Diff(grantEntry{"google", "alice", true, 2}, w.grants()[0]); diff != "" {
		t.Error(diff)
	}
}

func TestControlCountsRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	empty := map[string]map[string]int{"google": {}, "slack": {}, "salesforce": {}, "issuer": {}}
	if diff := cmp.Diff(empty, w.requests()); diff != "" {
		t.Error(diff)
	}
	got := w.connect("google", "alice", gcal)
	w.get(w.vendor("google").API+"/calendar/v3/users/me/calendarList", str(got, "access_token"))
	w.get(w.vendor("google").API+"/calendar/v3/users/me/calendarList", "nonsense")
	empty["google"] = map[string]int{"authorize": 2, "token": 1, "api": 2}
	if diff := cmp.Diff(empty, w.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestControlRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, bad := range []map[string]any{
		{"vendor": "google", "kind": "explode"},
		{"vendor": "github", "kind": "revoke"},
		{"vendor": "google", "kind": "delay"},
		{"vendor": "google", "kind": "status", "status": 200},
		{"vendor": "google", "kind": "status", "times": -1},
		{"vendor": "google", "kind": "revoke", "user": "mallory"},
		{"vendor": "google", "kind": "status", "endpoint": "moon"},
		{},
	} {
		res := w.postJSON(w.base+"/control/faults", w.box.ControlSecret(), bad)
		want(t, "status", res.status, http.StatusBadRequest)
		if !strings.Contains(str(res.object(t), "error"), " ") {
			t.Errorf("%v: no sentence: %s", bad, res.body)
		}
	}
}
