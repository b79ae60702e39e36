package mcp_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/mcp"
	"github.com/grantry/grantry/tools"
	"github.com/grantry/grantry/tools/calendar"
	"github.com/grantry/grantry/tools/sandbox"
	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
)

// real is a server on a real vault, on SQLite, with one of the sandbox's vendors.
type real struct {
	*world
	v        *vault.Vault
	person   vault.Person
	http     *http.Client
	base     string
	sandbox  *sandbox.Sandbox
	messages atomic.Int64 // that Slack was asked to post
}

func newReal(t *testing.T) *real {
	t.Helper()
	return newRealWith(t, calendar.Tools(), "google")
}

func newRealWith(t *testing.T, all []tools.Tool, vendor string) *real {
	t.Helper()
	r := &real{http: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.v = openVault(t, r.vendor(t, vendor))
	r.person = vault.Person{Caller: vault.Caller{Issuer: "local:" + r.v.ID(), Subject: "1000"}}
	r.world = newWorld(t, func(c *mcp.Config) {
		c.Open = func(context.Context) (mcp.Vault, error) { return r.v, nil }
		c.Tools = all
		c.Connections = map[string]string{vendor: vendor}
		c.WaitFor = 5 * time.Second
	})
	return r
}

// vendor is a connection to the sandbox, which ends with the test.
func (r *real) vendor(t *testing.T, name string) *provider.Connection {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	r.base = "http://" + srv.Listener.Addr().String()
	sb, err := sandbox.New(sandbox.Config{BaseURL: r.base, PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	r.sandbox = sb
	srv.Config.Handler = r.counting(sb.Handler())
	srv.Start()
	t.Cleanup(srv.Close)
	reg, _ := sb.Vendor(name)
	p, _ := provider.Catalog().Lookup(name)
	conn, err := provider.NewConnection(provider.Registration{
		Name: name, Provider: p, ClientID: reg.ClientID, ClientSecret: provider.NewSecret(reg.ClientSecret), LoopbackHTTP: true,
		Endpoints: provider.Endpoints{
			Issuer: reg.Issuer, Authorization: reg.Authorization, Token: reg.Token, Revocation: reg.Revocation,
			Userinfo: reg.Userinfo, JWKS: reg.JWKS, API: reg.API,
		},
	}, provider.Config{HTTP: r.http, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func openVault(t *testing.T, conns ...*provider.Connection) *vault.Vault {
	t.Helper()
	key, err := seal.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "vault.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	v, err := vault.Open(t.Context(), vault.Config{Store: store, Keys: []seal.Key{key}, Connections: conns, Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// consent does what the pages do when the person opens the link and allows it as alice.
func (r *real) consent(t *testing.T, link string) {
	t.Helper()
	handle := strings.TrimPrefix(link, publicURL+"/consent/")
	ticket, err := r.v.Ticket(t.Context(), handle)
	if err != nil {
		t.Fatal(err)
	}
	connection := ticket.Options[0].Connection
	start, err := r.v.Allow(t.Context(), vault.Answer{Handle: handle, Person: r.person, RedirectURI: publicURL + "/callback/" + connection, Session: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	if start.AuthURL == "" {
		return // only the agent's access was missing
	}
	resp, err := r.http.PostForm(start.AuthURL, url.Values{"user": {"alice"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("HTTP %d to %v", resp.StatusCode, back)
	}
	q := back.Query()
	if _, _, err := r.v.Finish(t.Context(), vault.Callback{
		Connection: connection, State: q.Get("state"), Code: q.Get("code"), Iss: q.Get("iss"), Cookie: start.Cookie,
		Session: "browser", Person: r.person,
	}); err != nil {
		t.Fatal(err)
	}
}

func hasEvents(t *testing.T, a answer) {
	t.Helper()
	var got struct{ Events []json.RawMessage }
	r := a.tool(t)
	if r.IsError || json.Unmarshal(r.Structured, &got) != nil || len(got.Events) == 0 {
		t.Fatalf("want events, got %s", a.raw)
	}
}

// TestTheWholePath: a call without a grant, the link, the consent at the vendor,
// and the same call, which waits, answers with data. Nothing of it shows a token.
func TestTheWholePath(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	c := r.connect("stdio", true, capURL)
	first := isInputRequired(t, c.call("calendar_list_events", `{}`))
	retry := async(c, "calendar_list_events", retryWith(first.RequestState, "accept"))
	r.consent(t, first.InputRequests["consent"].Params.URL)
	hasEvents(t, <-retry)
	hasEvents(t, c.call("calendar_list_events", `{"limit":1}`))

	list := conforming[connections](t, c, "connections_list", `{}`)
	if len(list.Accounts) != 1 || list.Accounts[0].State != "active" || len(list.Tools[0].Missing) != 0 {
		t.Errorf("connections_list: %+v", list)
	}
	if got := conforming[connected](t, c, "connections_connect", `{"connection":"google"}`); got.Account != list.Accounts[0].Label {
		t.Errorf("connections_connect: %+v", got)
	}
	r.anotherAgent(t)
}

// anotherAgent is a second client on the same vault: it needs the person's yes, not the vendor's.
func (r *real) anotherAgent(t *testing.T) {
	t.Helper()
	w := newWorld(t, func(c *mcp.Config) {
		c.Open = func(context.Context) (mcp.Vault, error) { return r.v, nil }
		c.Tools, c.Agent = calendar.Tools(), "another"
	})
	c := w.connect("http", false, capURL) // alice of the issuer: another person altogether
	isURLRequired(t, c.call("calendar_list_events", `{}`))
	s := w.connect("stdio", false, capNone)
	a := s.call("calendar_list_events", `{}`)
	isText(t, a, "not yet opened to this agent")
	var meta struct{ URL, Reason string }
	if err := json.Unmarshal(a.tool(t).Meta["io.github.grantry/consent"], &meta); err != nil || meta.Reason != "agent_not_allowed" {
		t.Fatalf("_meta: %+v %v", meta, err)
	}
	r.consent(t, meta.URL)
	hasEvents(t, s.call("calendar_list_events", `{}`))
}

// TestRealDecline is R14 on the real vault: after a decline in the client's
// dialog no new link is given for a while.
func TestRealDecline(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	c := r.connect("stdio", true, capURL)
	first := isInputRequired(t, c.call("calendar_list_events", `{}`))
	isText(t, c.call("calendar_list_events", `{}`, retryWith(first.RequestState, "decline")), "grantry connect google")
	isText(t, c.call("calendar_list_events", `{}`), "declined google lately")
}

// TestStateHasOneSpelling: what the vault sealed for a client opens as it was given, and in no other spelling.
func TestStateHasOneSpelling(t *testing.T) {
	t.Parallel()
	v := openVault(t)
	sealed, err := v.SealState("test", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.OpenState("test", sealed); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, other := range []string{sealed + "\n", "\r" + sealed, sealed[:4] + "\n" + sealed[4:], sealed + "=", sealed + "A", sealed[1:]} {
		if _, err := v.OpenState("test", other); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%q opens: %v", other, err)
		}
	}
}
