package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/mcp/authserver"
	"github.com/grantry/grantry/vault"
)

// TestLoginsAreListedAndEnded: a person sees who is logged in in their name, and ends
// it: refresh and access tokens at once, a remembered yes with them; nobody else's.
func TestLoginsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withPortal)
	alice, bob := person("alice").Caller, person("bob").Caller
	b := w.browser("alice")
	login := func() answer {
		t.Helper()
		p := b.open(w.asking(portal, portalRedirect, "resource", "", "scope", "openid"))
		if strings.HasPrefix(p.location.Path, "/consent/") {
			p = b.open(w.allow(p.location, "alice"))
		}
		return w.portalCode(p.location.Query().Get("code"))
	}
	a := login()
	began := w.clock.Now().UTC()
	w.clock.add(3 * time.Hour)
	desk := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	a = w.portalRefresh(a.Refresh)
	all, err := w.Logins(t.Context(), alice)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d logins, %v", len(all), err)
	}
	var mine vault.Login
	for _, l := range all {
		if l.Agent.ID == portal {
			mine = l
		}
	}
	want := vault.Login{ID: mine.ID, Agent: vault.Agent{Issuer: "workload:", ID: portal, Name: portal, Verified: true}, Since: began, Used: began.Add(3 * time.Hour), Ends: began.Add(90 * 24 * time.Hour)}
	if diff := cmp.Diff(want, mine); diff != "" || mine.ID == "" {
		t.Errorf("the portal's login (-want +got):\n%s", diff)
	}
	if all, err := w.Logins(t.Context(), bob); err != nil || len(all) != 0 {
		t.Errorf("bob's logins are %v, %v", all, err)
	}
	for _, id := range []string{"", "nonsense", mine.ID} {
		if err := w.EndLogin(t.Context(), bob, id); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("bob ends %q: %v", id, err)
		}
	}
	if _, err := w.VerifyFor(t.Context(), w.Application(), a.Access); err != nil {
		t.Fatalf("before the end the access token is refused: %v", err)
	}
	given := b.open(w.asking(portal, portalRedirect, "resource", "", "scope", "openid")).location
	if given.Query().Get("code") == "" {
		t.Fatalf("before the end the person is asked again, at %v", given)
	}
	if err := w.EndLogin(t.Context(), alice, mine.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.VerifyFor(t.Context(), w.Application(), a.Access); err == nil {
		t.Error("the access token outlived its login")
	}
	if r := w.portalRefresh(a.Refresh); r.Error != "invalid_grant" {
		t.Errorf("the refresh token after the end: %d %s", r.Status, r.raw)
	}
	if r := w.portalCode(given.Query().Get("code")); r.Error != "invalid_grant" {
		t.Errorf("a code from before the end: %d %s", r.Status, r.raw)
	}
	if all, err := w.Logins(t.Context(), alice); err != nil || len(all) != 1 {
		t.Errorf("after the end %d logins are left, %v", len(all), err)
	}
	if !w.good(desk.Access) {
		t.Error("another login ended, too")
	}
	if p := b.open(w.asking(portal, portalRedirect, "resource", "", "scope", "openid")); !strings.HasPrefix(p.location.Path, "/consent/") {
		t.Errorf("after the end nobody was asked: %v", p.location)
	}
	w.clock.add(time.Second)
	if again := login(); again.Status != http.StatusOK {
		t.Errorf("a new login: %d %s", again.Status, again.raw)
	}
	if p := b.open(w.asking(portal, portalRedirect, "resource", "", "scope", "openid")); p.location.Query().Get("code") == "" {
		t.Errorf("the new yes is not remembered: %v", p.location)
	}
	if all, err = w.Logins(t.Context(), alice); err != nil || len(all) != 2 {
		t.Errorf("%d logins at last, %v", len(all), err)
	}
}

// slowRecords hold the first look at a family until they are let go.
type slowRecords struct {
	authserver.Records
	looked      atomic.Bool
	read, letGo chan struct{}
}

// Get reads, and then waits.
func (s *slowRecords) Get(ctx context.Context, kind, handle string) ([]byte, error) {
	raw, err := s.Records.Get(ctx, kind, handle)
	if kind == "authserver-family" && !s.looked.Swap(true) {
		close(s.read)
		<-s.letGo
	}
	return raw, err
}

// TestEndedWhileRead: a login that ends while somebody looks at it is not taken for alive afterwards.
func TestEndedWhileRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.redeem(w.code("desk", localRedirect), "desk", localRedirect)
	logins, err := w.Logins(t.Context(), person("alice").Caller)
	if err != nil || len(logins) != 1 {
		t.Fatal(logins, err)
	}
	slow := &slowRecords{read: make(chan struct{}), letGo: make(chan struct{})}
	turned := *w
	turned.wrap = func(r authserver.Records) authserver.Records { slow.Records = r; return slow }
	other := turned.start("second")
	var looking sync.WaitGroup
	looking.Go(func() { other.good(a.Access) })
	<-slow.read
	if err := other.EndLogin(t.Context(), person("alice").Caller, logins[0].ID); err != nil {
		t.Fatal(err)
	}
	close(slow.letGo)
	looking.Wait()
	if other.good(a.Access) {
		t.Error("the access token is taken after its login ended")
	}
}
