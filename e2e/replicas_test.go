package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/seal"
	"github.com/grantry/grantry/vault/sqlstore"
	"github.com/grantry/grantry/vault/storetest"
	"github.com/grantry/grantry/vault/storetest/port"
)

// fleet is three `grantry serve` on one PostgreSQL behind one address, with
// nothing else in common but their config and the key: each has a data folder
// of its own, as on three machines. People sign in at one oidc-provider;
// another one is the vendor of "google", with refresh tokens for one use.
type fleet struct {
	people, issuer *issuer
	vendor         *door
	homes          []*home
	replicas       []*server
	addresses      []string     // where each really listens
	base           string       // public_url, where the pages are
	pages          atomic.Int64 // the replica that answers there
	database       string
	key            string
}

const fleetSize = 3

func startFleet(t *testing.T, tokenLife time.Duration) *fleet {
	t.Helper()
	f := &fleet{database: storetest.Postgres(t), key: filepath.Join(t.TempDir(), "key")}
	balancer := httptest.NewServer(http.HandlerFunc(f.balance))
	t.Cleanup(balancer.Close)
	f.base = balancer.URL
	f.people = startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential(pagesClient, "the-secret-of-the-pages", f.base+"/signin/callback"), public(mcpClient)},
		Scopes:  []string{"email", "profile"}, Resources: []string{f.base + "/mcp"},
	})
	f.issuer = startIssuer(t, issuerConfig{
		Clients: []map[string]any{confidential("rotating", "the-secret-of-the-rotating-client", f.base+"/callback/google")},
		Scopes:  googleScopes(), RefreshAlways: true,
	})
	f.vendor = newDoor(t, f.issuer.URL, startEmulate(t, f.base).Google, tokenLife)
	for range fleetSize {
		listen := port.Get(t).Addr()
		h := newHome(t, f.yaml(listen), "ROTATING_SECRET=the-secret-of-the-rotating-client", "OIDC_SECRET=the-secret-of-the-pages", "DATABASE="+f.database)
		f.homes, f.addresses = append(f.homes, h), append(f.addresses, "http://"+listen)
		f.replicas = append(f.replicas, h.serve(t))
	}
	return f
}

// googleScopes are what the tools may ask of Google.
func googleScopes() []string {
	scopes := []string{"email", "profile"}
	for _, name := range []string{
		"calendar", "calendar.readonly", "calendar.events", "calendar.events.readonly", "drive", "drive.readonly", "drive.metadata.readonly",
		"userinfo.email", "userinfo.profile",
	} {
		scopes = append(scopes, "https://www.googleapis.com/auth/"+name)
	}
	return scopes
}

func (f *fleet) yaml(listen string) string {
	return fmt.Sprintf(`listen: %[1]s
public_url: %[2]s
store: env:DATABASE
keys: { source: "file:%[3]s" }
limits: { calls_per_minute: 0 }
identity: { issuer: %[4]s, client_id: %[5]s, client_secret: env:OIDC_SECRET }
%[6]s`, listen, f.base, f.key, f.people.URL, pagesClient, rotatingGoogle(f.issuer.URL, f.vendor.URL, f.vendor.URL))
}

// balance sends a request to the replica that answers for the pages now.
func (f *fleet) balance(w http.ResponseWriter, r *http.Request) {
	to, err := url.Parse(f.addresses[f.pages.Load()])
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host; whole(p) }}
	proxy.ServeHTTP(w, r)
}

func (f *fleet) token(t *testing.T, who string) string {
	t.Helper()
	return issuerToken(t, f.people, who, mcpClient, f.base+"/mcp")["access_token"].(string)
}

// said is what came of a tool call.
type said struct {
	IsError bool
	Text    string
}

// call makes a tool call at replica i. It may run beside the test.
func (f *fleet) call(i int, token string) (out said, err error) {
	body, err := json.Marshal(modernCall(1, "calendar_list_events", map[string]any{}, nil))
	if err != nil {
		return out, err
	}
	req, err := http.NewRequest(http.MethodPost, f.addresses[i]+"/mcp", strings.NewReader(string(body)))
	if err != nil {
		return out, err
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": revision, "Mcp-Method": "tools/call", "Mcp-Name": "calendar_list_events",
	} {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 2 * patience}).Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	var m struct {
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
		Error *rpcError
	}
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || m.Error != nil || len(m.Result.Content) == 0 {
		return out, fmt.Errorf("HTTP %d, %v, error %+v", resp.StatusCode, err, m.Error)
	}
	out.IsError, out.Text = m.Result.IsError, m.Result.Content[0].Text
	return out, nil
}

// good wants a call to be served.
func (f *fleet) good(t *testing.T, i int, token, when string) {
	t.Helper()
	if got, err := f.call(i, token); err != nil || got.IsError {
		t.Errorf("%s: replica %d answered %+v, %v", when, i+1, got, err)
	}
}

// connect has who consent: asked on replica 1, answered on 2, called back on 3.
// It answers the token, and how long the call that waited on replica 1 took from then on.
func (f *fleet) connect(t *testing.T, b *browser, who string) (token string, waited time.Duration) {
	t.Helper()
	token = f.token(t, who)
	asked, err := f.call(0, token)
	found := consentLink.FindStringSubmatch(asked.Text)
	if err != nil || found == nil {
		t.Fatalf("%s's first call answered %+v, %v", who, asked, err)
	}
	f.pages.Store(1)
	b.signInOnly(found[1], who)
	b.stopAt(f.issuer.URL).press("allow")
	answered := make(chan time.Time, 1)
	go func() {
		f.good(t, 0, token, who+"'s call that waits for the answer")
		answered <- time.Now()
	}()
	time.Sleep(500 * time.Millisecond) // it has begun to wait
	f.pages.Store(2)
	b.stopAt("").open(b.page.Held.String())
	if done := b.goOn(who); done.Status != http.StatusOK {
		t.Fatalf("%s's visit ended with %d:\n%s", who, done.Status, done.text())
	}
	over := time.Now()
	return token, (<-answered).Sub(over)
}

// TestReplicas is three processes on one PostgreSQL: what is asked on one is
// answered on another (R63), tokens are refreshed all the time, one replica is
// killed with a refresh of its own under way, nothing is lost, and what one
// has revoked the others refuse at the next call (R64).
func TestReplicas(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 3*time.Second)
	browser := newBrowser(t)
	alice, waited := f.connect(t, browser, "alice")
	t.Logf("the waiting call had its answer %s after the page that says so", waited)
	within(t, time.Now().Add(-waited), 2*time.Second, "going on after an answer on another replica")
	bob, _ := f.connect(t, newBrowser(t), "bob")

	load := f.load(t, map[string]string{"alice": alice, "bob": bob})
	time.Sleep(3500 * time.Millisecond)
	f.killDuringRefresh(t, load, alice, bob)
	f.replicas[2] = f.homes[2].serve(t)
	load.allow(2)
	time.Sleep(3500 * time.Millisecond)
	calls := load.stop()
	for i := range fleetSize {
		f.good(t, i, alice, "at the end")
		f.good(t, i, bob, "at the end")
	}
	f.wantOneSpendEach(t, calls)
	f.disconnect(t, browser, alice)
	f.wantWholeAudit(t)
	f.wantNothingOnDisk(t)
}

// wantNothingOnDisk wants the data folders to hold lock files and emergency
// journals, for what the database does not take, and nothing of the vault's.
func (f *fleet) wantNothingOnDisk(t *testing.T) {
	t.Helper()
	for i, h := range f.homes {
		err := filepath.WalkDir(h.data(), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(h.data(), path)
			if top, _, _ := strings.Cut(filepath.ToSlash(name), "/"); top != "run" && top != "rescue" {
				t.Errorf("replica %d has %s on its own disk", i+1, name)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// killDuringRefresh has replica 3 send alice's refresh, which the vendor never
// gets to see, and kills it then. The others take the refresh over; bob notices nothing.
func (f *fleet) killDuringRefresh(t *testing.T, load *load, alice, bob string) {
	t.Helper()
	load.forbid(t, 0, 1, 2)
	f.vendor.shut()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, err := f.call(2, alice); err != nil {
				return // it is dead
			}
		}
	}()
	eventually(t, patience, "a refresh by replica 3", func() bool { return f.vendor.waiting() > 0 })
	f.replicas[2].kill()
	killed := time.Now()
	<-gone
	eventually(t, patience, "going away from the vendor", func() bool { return f.vendor.waiting() == 0 })
	f.vendor.open()
	load.allow(0, 1)
	f.good(t, 0, bob, "after the kill")
	t.Logf("bob was served %s after the kill", time.Since(killed).Round(time.Millisecond))
	f.good(t, 1, alice, "after the kill")
	t.Logf("alice was served %s after the kill in the middle of her refresh", time.Since(killed).Round(time.Millisecond))
}

// disconnect ends alice's account on a page of replica 2; replicas 1 and 3 have used it all the time (R64).
func (f *fleet) disconnect(t *testing.T, b *browser, token string) {
	t.Helper()
	f.pages.Store(1)
	b.open(f.base + "/connections")
	b.goOn("alice")
	b.click("Disconnect")
	if _, _, again := b.page.find("Disconnect"); again && strings.Contains(b.page.text(), "sure") {
		b.click("Disconnect")
	}
	for i := range fleetSize {
		if got, err := f.call(i, token); err != nil || !got.IsError || !consentLink.MatchString(got.Text) {
			t.Errorf("after the revocation replica %d answered %+v, %v", i+1, got, err)
		}
	}
}

// wantOneSpendEach asks the vendor which refresh tokens it was shown.
func (f *fleet) wantOneSpendEach(t *testing.T, calls int) {
	t.Helper()
	tokens, statuses := f.issuer.refreshes(t)
	t.Logf("%d calls, %d refreshes", calls, len(tokens))
	if distinct := slices.Compact(slices.Sorted(slices.Values(tokens))); len(distinct) != len(tokens) {
		t.Errorf("%d refreshes with %d tokens: some were spent twice", len(tokens), len(distinct))
	}
	for i, status := range statuses {
		if status != http.StatusOK {
			t.Errorf("refresh %d was answered %d", i+1, status)
		}
	}
	if len(tokens) < 4 {
		t.Errorf("only %d refreshes: the load does not do its work", len(tokens))
	}
}

// wantWholeAudit opens the vault once more and walks all chains, those of the killed process too.
func (f *fleet) wantWholeAudit(t *testing.T) {
	t.Helper()
	source, err := seal.OpenSource("file:"+f.key, seal.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := source.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.OpenPostgres(t.Context(), sqlstore.PostgresConfig{URL: provider.NewSecret(f.database)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	v, err := vault.Open(t.Context(), vault.Config{Store: store, Keys: keys, Instance: "the-auditor"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := v.VerifyAudit(t.Context())
	t.Logf("%d audit entries", n)
	if err := errors.Join(err, v.Close()); err != nil || n < 100 {
		t.Errorf("the audit has %d entries, %v", n, err)
	}
}
