package consent_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/consent"
	"github.com/grantry/grantry/vault"
)

// pairing is what a terminal asks for.
func (w *world) pairing(v consent.PairingVault, r consent.Records) (*consent.Pairings, consent.Pairing) {
	w.t.Helper()
	p := &consent.Pairings{Vault: v, Records: r, Now: w.cfg.Now}
	made, err := p.New(w.t.Context(), consent.Pairing{
		Connection: "google", Scopes: []string{"openid", calendarScope}, Machine: "laptop", From: "root",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p, made
}

// TestPairing: whoever signs in and types the code sees what is asked for and
// where; what they connect is theirs, and the terminal hears of it.
func TestPairing(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	terminal, made := r.pairing(r.keep, r.keep.Records())
	ended := make(chan vault.Ticket, 1)
	go func() {
		got, err := terminal.Await(t.Context(), made)
		if err != nil {
			t.Errorf("waiting: %v", err)
		}
		ended <- got
	}()
	b := r.browser("alice")
	p := b.signIn("/pair").want(t, http.StatusOK, "alice@example.com’s vault", "Code from the terminal")
	p = b.follow(b.typeCode(p, strings.ToLower(made.Code)).want(t, http.StatusSeeOther)).
		want(t, http.StatusOK, "Connect your Google account", "alice@example.com", "a terminal on laptop", "root runs Grantry", "See your calendars")
	if n := r.redeemed(); n != 0 {
		t.Fatal("the vendor was asked before anybody allowed it")
	}
	b.click(b.allowAtGoogle(strings.TrimPrefix(p.url, r.url)), "user", "alice").want(t, http.StatusOK, "Google is connected")
	select {
	case got := <-ended:
		a, err := r.keep.Account(t.Context(), got.Owner.Caller, got.Grant)
		if err != nil || got.State != vault.TicketDone || a.Label != "alice@example.com" || got.Owner.Email != "alice@example.com" {
			t.Errorf("the terminal heard %+v, %+v %v", got, a, err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the terminal heard nothing")
	}
	bob := r.browser("bob")
	bob.typeCode(bob.signIn("/pair"), made.Code).want(t, http.StatusForbidden, "wrong, used already")
}

// redeemed is how many codes Google was sent.
func (r *real) redeemed() int {
	r.t.Helper()
	var seen map[string]map[string]int
	r.truth("/control/requests", &seen)
	return seen["google"]["token"]
}

// A declined pairing is told to its terminal as that.
func TestPairingDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	terminal, made := w.pairing(w.vault, w.records)
	b := w.browser("alice")
	p := b.follow(b.typeCode(b.get("/pair"), made.Code)).want(t, http.StatusOK, "Connect your Google account")
	b.post(strings.TrimPrefix(p.url, w.url), p, "answer", "decline").want(t, http.StatusOK)
	got, err := terminal.Await(t.Context(), made)
	if err != nil || got.State != vault.TicketDeclined || got.Owner.Caller != w.owner("alice").Caller {
		t.Errorf("heard %+v %v", got, err)
	}
	var opened vault.Option
	for _, k := range w.vault.tickets {
		opened = k.Options[0]
	}
	if len(opened.Optional) != 1 || opened.Optional[0] != calendarScope {
		t.Errorf("optional are %v", opened.Optional)
	}
}

// TestPairingTries: five wrong codes of one person in ten minutes, whatever
// browser they use; forms are bound to their session, and a code ends after ten minutes.
func TestPairingTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, made := w.pairing(w.vault, w.records)
	alice := w.browser("alice")
	p := alice.get("/pair").want(t, http.StatusOK)
	alice.typeCode(p, "nonsense!").want(t, http.StatusBadRequest, "That is no code")
	for range 5 {
		alice.typeCode(p, "BBBB-BBBB").want(t, http.StatusForbidden, "wrong")
	}
	alice.typeCode(p, made.Code).want(t, http.StatusTooManyRequests, "Too many wrong codes")
	again := w.browser("alice")
	again.typeCode(again.get("/pair"), made.Code).want(t, http.StatusTooManyRequests)
	if got := w.vault.kind("pairing.refused"); len(got) != 7 || got[0].Reason != "code" || got[6].Reason != "too_many" || got[0].Caller != w.owner("alice").Caller {
		t.Errorf("audited %+v", got)
	}
	bob := w.browser("bob")
	theirs := bob.get("/pair").want(t, http.StatusOK)
	bob.post("/pair", p, "code", made.Code).want(t, http.StatusForbidden, "open for too long")
	bob.head = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	bob.typeCode(theirs, made.Code).want(t, http.StatusForbidden)
	bob.head = http.Header{}
	w.clock.advance(10*time.Minute + time.Second)
	bob.typeCode(theirs, made.Code).want(t, http.StatusForbidden, "older than ten minutes")
	_, fresh := w.pairing(w.vault, w.records)
	bob.typeCode(theirs, fresh.Code).want(t, http.StatusSeeOther)
	w.browser("carol").do(http.MethodPost, "/pair", strings.NewReader("code="+made.Code)).want(t, http.StatusForbidden)
}

// TestTriesOfAllProcesses: two processes on one vault count wrong codes together,
// at /pair as at /signin, also when they come at the same time.
func TestTriesOfAllProcesses(t *testing.T) {
	t.Parallel()
	for path, change := range map[string]func(c *consent.Config){
		"/pair": func(*consent.Config) {},
		"/signin": func(c *consent.Config) {
			c.Local, c.SignIn = &vault.Person{Caller: vault.Caller{Issuer: "local:x", Subject: "1000"}}, nil
		},
	} {
		r := newReal(t, change)
		b := r.browser("alice")
		p := b.get(path)
		if path == "/pair" {
			p = b.signIn(path)
		}
		r.pages.Store(r.processes(2))
		statuses := make(chan int, 12)
		var all sync.WaitGroup
		for range cap(statuses) {
			all.Go(func() { statuses <- b.post(path, p, "code", "BBBB-BBBB").status })
		}
		all.Wait()
		looked := 0
		for range cap(statuses) {
			switch status := <-statuses; status {
			case http.StatusForbidden:
				looked++
			case http.StatusTooManyRequests:
			default:
				t.Errorf("%s: HTTP %d", path, status)
			}
		}
		if looked != 5 {
			t.Errorf("%s: two processes looked at %d wrong codes, want 5", path, looked)
		}
	}
}

// processes are n of them on one vault, behind one address that sends to each in turn.
func (r *real) processes(n int64) *http.ServeMux {
	r.t.Helper()
	var each []http.Handler
	for range n {
		h, err := consent.New(r.cfg)
		if err != nil {
			r.t.Fatal(err)
		}
		mux := http.NewServeMux()
		h.Mount(mux)
		each = append(each, mux)
	}
	var turn atomic.Int64
	front := http.NewServeMux()
	front.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) { each[turn.Add(1)%n].ServeHTTP(w, q) })
	return front
}

// A code whose request cannot be made may be typed again when it can.
func TestPairingIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, made := w.pairing(w.vault, w.records)
	b := w.browser("alice")
	p := b.get("/pair")
	w.vault.openErr = &vault.ConsentError{Reason: vault.ConnMisconfigured}
	b.typeCode(p, made.Code).want(t, http.StatusServiceUnavailable)
	w.vault.openErr = nil
	b.typeCode(p, made.Code).want(t, http.StatusSeeOther)
}
