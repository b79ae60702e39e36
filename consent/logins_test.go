package consent_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
)

// fakeLogins are logins by their owner's subject.
type fakeLogins struct {
	mu  sync.Mutex
	all map[string][]vault.Login
}

// Logins implements consent.Logins.
func (f *fakeLogins) Logins(_ context.Context, c vault.Caller) ([]vault.Login, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all[c.Subject]), nil
}

// EndLogin implements consent.Logins.
func (f *fakeLogins) EndLogin(_ context.Context, c vault.Caller, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.all[c.Subject])
	f.all[c.Subject] = slices.DeleteFunc(f.all[c.Subject], func(l vault.Login) bool { return l.ID == id })
	if len(f.all[c.Subject]) == before {
		return vault.ErrNotFound
	}
	return nil
}

// TestLogins: the page of agents says who is logged in, since when and when last, an
// agent that has asked for nothing yet too; its button ends one login, and nobody else's.
func TestLogins(t *testing.T) {
	t.Parallel()
	logins := &fakeLogins{all: map[string][]vault.Login{}}
	w := newWorld(t, func(w *world) { w.cfg.Logins = logins })
	employ(w)
	now := w.clock.Now()
	portal := vault.Agent{Issuer: vault.WorkloadIssuer, ID: "portal", Name: "The portal", Verified: true}
	logins.all["sub-alice"] = []vault.Login{
		{ID: "l1", Agent: w.vault.access[1].Agent, Since: now.AddDate(0, 0, -12), Used: now.Add(-5 * time.Minute)},
		{ID: "l2", Agent: portal, Since: now.AddDate(0, 0, -3), Used: now.Add(-2 * time.Hour)},
		{ID: "l3", Agent: portal, Since: now.AddDate(0, 0, -7), Used: now.AddDate(0, 0, -6)},
	}
	logins.all["sub-bob"] = []vault.Login{{ID: "b1", Agent: vault.Agent{ID: "bobs", Name: "Bob’s program"}, Since: now, Used: now}}
	b := w.browser("alice")
	p := b.get("/agents").want(t, http.StatusOK,
		"Signed in since "+now.AddDate(0, 0, -12).Format("2 January 2006"), "last used 5 minutes ago",
		"The portal", "The configuration of this vault knows it as portal", "Signed in since "+now.AddDate(0, 0, -3).Format("2 January 2006"), "last used 2 hours ago", "End this login").
		without(t, "Bob’s program")
	if n := strings.Count(p.body, `action="/agents/login/end"`); n != 3 {
		t.Errorf("%d buttons end logins", n)
	}
	if n, m := strings.Count(p.body, `class="danger small"`), strings.Count(p.body, `class="installed"`); n != m-1 {
		t.Errorf("of %d agents %d can be stopped, want all but the one that has asked for nothing", m, n)
	}
	b.post("/agents/login/end", p, "login", "b1").want(t, http.StatusNotFound)
	b.post("/agents/login/end", p, "login", "").want(t, http.StatusNotFound)
	b.post("/agents/login/end", p, "login", "l2", "csrf", "guessed").want(t, http.StatusForbidden)
	b.follow(b.post("/agents/login/end", p, "login", "l2").want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "That login is over", "The portal").without(t, "last used 2 hours ago")
	b.follow(b.post("/agents/login/end", p, "login", "l3")).want(t, http.StatusOK).without(t, "The portal")
	if len(logins.all["sub-alice"]) != 1 || len(logins.all["sub-bob"]) != 1 {
		t.Errorf("left are %+v", logins.all)
	}
}

// TestNoLogins: where agents log in elsewhere the page shows and ends none.
func TestNoLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	employ(w)
	b := w.browser("alice")
	p := b.get("/agents").want(t, http.StatusOK).without(t, "Logged in", "End this login")
	b.post("/agents/login/end", p, "login", "l1").want(t, http.StatusNotFound)
}
