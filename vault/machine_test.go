package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/rescue"
	"github.com/grantry/grantry/vault/seal"
)

// truth is a vendor without a network that remembers everything: a refresh token
// is for one use, with or without a grace, and the use of an older one kills them all.
type truth struct {
	mu      sync.Mutex
	n       int
	live    string               // the refresh token that works; "" = none any more
	old     map[string]time.Time // until when an older one does
	grace   time.Duration
	next    string // what becomes of the next refresh
	ends    map[string]time.Time
	active  map[string]int
	total   int
	sends   map[string][]time.Time // by token
	lost    bool                   // a successor was issued that nobody can have
	revoked bool
	errs    []string
	onReply func()
}

// set changes or reads the truth between requests.
func (v *truth) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *truth) fault(format string, args ...any) {
	v.errs = append(v.errs, fmt.Sprintf(format, args...))
}

// RoundTrip answers as the vendor does, 50 ms later.
func (v *truth) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/userinfo") {
		return vendorReply(200, map[string]any{"sub": "acc-1", "email": "alice@example.com", "email_verified": true}), nil
	}
	httptrace.ContextClientTrace(req.Context()).WroteRequest(httptrace.WroteRequestInfo{})
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	token := req.PostForm.Get("refresh_token")
	v.mu.Lock()
	if v.active[token]++; v.active[token] > 1 {
		v.fault("%s is sent twice at once", token)
	}
	v.total++
	v.sends[token] = append(v.sends[token], time.Now())
	v.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	v.mu.Lock()
	resp, hook := v.handle(req.PostForm.Get("grant_type"), token), v.onReply
	v.onReply = nil
	v.lost = v.lost || hook != nil && resp != nil && resp.StatusCode == 200
	v.mu.Unlock()
	if hook != nil {
		hook()
	}
	if resp == nil {
		<-req.Context().Done()
	}
	v.mu.Lock()
	v.active[token]--
	v.mu.Unlock()
	if resp == nil {
		return nil, req.Context().Err()
	}
	return resp, nil
}

func (v *truth) handle(grant, token string) *http.Response {
	next := v.next
	if v.next = ""; grant == "authorization_code" {
		return v.issue()
	}
	switch next {
	case "500 before":
		return vendorReply(500, map[string]any{})
	case "429":
		return vendorReply(429, map[string]any{})
	case "hang before":
		return nil
	}
	if token != v.live && !time.Now().Before(v.old[token]) {
		if _, known := v.old[token]; known {
			v.live, v.old = "", map[string]time.Time{} // the family dies
		}
		return vendorReply(400, map[string]any{"error": "invalid_grant"})
	}
	resp := v.issue()
	if next != "" {
		v.lost = true
	} else {
		v.sends[token] = nil // only an alternate's try can follow
	}
	switch next {
	case "500 after":
		return vendorReply(500, map[string]any{})
	case "hang after":
		return nil
	case "cut":
		b, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(strings.NewReader(string(b[:len(b)/2])))
	}
	return resp
}

func (v *truth) issue() *http.Response {
	v.n++
	if v.live != "" {
		v.old[v.live] = time.Now().Add(v.grace)
	}
	access := fmt.Sprintf("at-%d", v.n)
	v.live, v.ends[access] = fmt.Sprintf("rt-%d", v.n), time.Now().Add(time.Hour)
	return vendorReply(200, map[string]any{"access_token": access, "refresh_token": v.live, "expires_in": 3600, "token_type": "Bearer"})
}

func vendorReply(status int, body map[string]any) *http.Response {
	b, _ := json.Marshal(body)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(b)))}
}

// machine is a vault with two processes that are killed and started again, and its vendor.
type machine struct {
	*bench
	truth *truth
	n     int
	names [2]string
	procs [2]struct {
		*vault.Vault
		store   *faulty
		journal *rescue.Journal
	}
	grant string
	ended bool
}

func newMachine(t *testing.T) *machine {
	m := &machine{truth: &truth{
		old: map[string]time.Time{}, ends: map[string]time.Time{}, active: map[string]int{}, sends: map[string][]time.Time{},
	}}
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := provider.Catalog().Lookup("oauth2")
	conn, err := provider.NewConnection(provider.Registration{
		Name: "files", Provider: p, ClientID: "grantry", ClientSecret: provider.NewSecret("secret"), APIHosts: []string{"api.example"},
		Endpoints: provider.Endpoints{Authorization: "https://v.example/authorize", Token: "https://v.example/token", Userinfo: "https://v.example/userinfo"},
	}, provider.Config{Now: time.Now, HTTP: &http.Client{Transport: m.truth}})
	if err != nil {
		t.Fatal(err)
	}
	m.bench = &bench{
		t: t, clock: &clock{}, keys: []seal.Key{key}, path: filepath.Join(t.TempDir(), "vault.db"), log: new(bytes.Buffer),
		conns: []*provider.Connection{conn},
	}
	m.start(0)
	m.start(1)
	m.Vault = m.procs[0].Vault
	m.grant = m.connect(alice, agent).ID
	return m
}

// start starts a process where there is none, or none any more.
func (m *machine) start(at int) {
	m.n++
	m.names[at] = fmt.Sprintf("p%d", m.n)
	p := &m.procs[at]
	f, with := broken(m.t)
	p.store, p.journal = f, rescue.New(filepath.Join(filepath.Dir(m.path), "rescue"), m.names[at], nil)
	journal := p.journal
	p.Vault = m.open(m.names[at], with, func(c *vault.Config) {
		c.Now, c.Rescue = time.Now, journal
		c.OwnerDead = func(id string) bool { return id != m.names[0] && id != m.names[1] }
	})
}

// kill takes a process its store and its journal, and everything else with it.
func (m *machine) kill(at int) {
	m.procs[at].store.set(fails, false)
	_ = m.procs[at].journal.Close()
}

// exchange asks in one process or in both at once, and holds what comes against the truth.
func (m *machine) exchange(stale *provider.Bearer, at ...int) (last *vault.Token) {
	before := 0
	m.truth.set(func() { before = m.truth.total })
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, i := range at {
		wg.Go(func() {
			r := request(alice, agent)
			r.Stale = stale
			tok, err := m.procs[i].Exchange(context.Background(), r)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				last = tok
			}
			m.judge(tok, err)
		})
	}
	wg.Wait()
	m.truth.set(func() {
		if n := m.truth.total - before; n > 4 {
			m.truth.fault("%d requests for one call", n)
		}
	})
	return last
}

func (m *machine) judge(tok *vault.Token, err error) {
	v := m.truth
	v.mu.Lock()
	defer v.mu.Unlock()
	var e *vault.ConsentError
	switch {
	case err == nil:
		at := tok.Token.Reveal()
		if end, known := v.ends[at]; !known || time.Now().After(end) {
			v.fault("%s went out, which the vendor does not take", at)
		}
		if at == fmt.Sprintf("at-%d", v.n) {
			v.lost = false // what the vendor issued last is stored
		}
	case !errors.As(err, &e):
		v.fault("error %v", err)
	case e.Reason.Mendable():
		if m.ended = true; !v.lost && !v.revoked {
			v.fault("the grant was ended (%s), and nothing at the vendor explains it: it knows %q", e.Reason, v.live)
		}
	}
}

func (m *machine) step(name string) {
	v := m.truth
	switch name {
	case "exchange":
		m.exchange(nil, 0)
	case "both":
		m.exchange(nil, 0, 1)
	case "refused by the API":
		if tok := m.exchange(nil, 1); tok != nil {
			m.exchange(&tok.Bearer, 0, 1)
		}
	case "a moment":
		time.Sleep(33 * time.Second)
	case "most of a life":
		time.Sleep(53 * time.Minute)
	case "a life":
		time.Sleep(61 * time.Minute)
	case "strict":
		v.set(func() { v.grace = 0 })
	case "grace":
		v.set(func() { v.grace = 3 * time.Hour })
	case "store fails after":
		var lost, whole bool
		v.set(func() {
			v.onReply = func() { m.procs[0].store.set(fails, false) }
			lost, whole = v.lost, v.next == ""
		})
		m.exchange(nil, 0)
		v.set(func() {
			if v.onReply = nil; whole && !m.ended {
				v.lost = lost // it is in the journal
			}
		})
	case "store fails":
		m.procs[0].store.set(fails, false)
	case "store works":
		m.procs[0].store.set(nil, false)
		time.Sleep(11 * time.Second) // longer than between two tries
	case "crash":
		time.Sleep(30 * time.Second) // what is at the vendor's is over
		m.kill(0)
		m.start(0)
	case "crash at the answer":
		v.set(func() { v.onReply = func() { m.kill(0) } })
		m.exchange(nil, 0)
		v.set(func() { v.onReply = nil })
		time.Sleep(30 * time.Second)
		m.kill(0)
		m.start(0)
	case "crash with a token in memory":
		for _, s := range []string{"a life", "store fails after", "crash", "exchange"} {
			if m.step(s); m.ended {
				return
			}
		}
	case "revoke":
		v.set(func() { v.revoked, v.live, v.old = true, "", map[string]time.Time{} })
	default:
		v.set(func() { v.next = name })
	}
}

// TestMachine drives grant, vendor and crashes against each other (G2, G4, G7): no
// refresh token is sent twice at once or too soon again, what goes out is
// what the vendor issued, and a grant ends only where the vendor's truth says so.
func TestMachine(t *testing.T) {
	t.Parallel()
	steps := []string{
		"exchange", "both", "refused by the API", "a moment", "most of a life", "a life", "a life", "strict", "grace",
		"store fails after", "store fails", "store works", "crash", "crash at the answer",
		"crash with a token in memory", "revoke",
		"500 before", "500 after", "429", "cut", "hang before", "hang after",
	}
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(rapid.SampledFrom(steps), 4, 20).Draw(rt, "script")
		var faults []string
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t)
			for _, s := range script {
				if m.step(s); m.ended {
					break
				}
			}
			time.Sleep(time.Minute)
			m.truth.set(func() {
				m.tooSoon()
				faults = m.truth.errs
			})
		})
		if len(faults) > 0 {
			rt.Fatalf("%s", strings.Join(faults, "\n"))
		}
	})
}

// tooSoon looks for sends of one token that came too close: 30 s apart, but for
// one after a lost answer, which comes after 2 s and never twice in a row.
func (m *machine) tooSoon() {
	for token, at := range m.truth.sends {
		soon := false
		for i := 1; i < len(at); i++ {
			least := 2 * time.Second
			if soon {
				least = spacing
			}
			gap := at[i].Sub(at[i-1])
			if gap < least && token != "" {
				m.truth.fault("send %d of %s came %v after the one before", i+1, token, gap)
			}
			soon = gap < spacing
		}
	}
}

const spacing = 30 * time.Second
