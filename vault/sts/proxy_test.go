package sts_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

// TestProxyToken: what an exchange for one answers, and what it is refused for.
func TestProxyToken(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	r := w.send(with("requested_token_type", proxyType))
	if r.status != http.StatusOK || r.str("token_type") != "Bearer" || r.str("scope") != "files.read" || r.body["expires_in"] != 270.0 || r.str("api_base") != publicURL+"/proxy/files" || len(r.str("access_token")) != 46 {
		t.Errorf("%s", r)
	}
	if strings.Contains(r.raw, "canary") {
		t.Errorf("a token of the vendor's: %s", r)
	}
	if r := w.send(with("requested_token_type", proxyType, "scope", "")); r.status != http.StatusOK || r.str("scope") != "mail.read" && !strings.Contains(r.str("scope"), "mail.read") {
		t.Errorf("all that was granted: %s", r)
	}
	refused(t, "min_ttl", w.send(with("requested_token_type", proxyType, "min_ttl", "600")), http.StatusBadRequest, "invalid_request")
	refused(t, "above the ceiling", w.send(with("requested_token_type", proxyType, "scope", "files.write")), http.StatusBadRequest, "invalid_scope")
	refused(t, "by Auth0's names", w.send(auth0, with("requested_token_type", proxyType)), http.StatusBadRequest, "invalid_request")
	refused(t, "nobody's account", w.send(with("requested_token_type", proxyType, "subject_token", w.idp.issue("bob"))), http.StatusBadRequest, "consent_required")
	refused(t, "as a subject token", w.send(with("subject_token", w.pass())), http.StatusBadRequest, "invalid_request")
	refused(t, "as a refresh token", w.send(with("subject_token", w.pass(), "subject_token_type", refresh)), http.StatusBadRequest, "invalid_request")
	if audit := w.audit(); !strings.Contains(audit, `"proxy.token_issued"`) || strings.Contains(audit, "gp_") || strings.Contains(audit, "token.released") {
		t.Error("the audit of an issue is not as it should be")
	}
}

// TestProxyTokenNoRules: a workload without a list has no proxy.
func TestProxyTokenNoRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("alice", "files.read")
	refused(t, "no list", w.send(with("requested_token_type", proxyType)), http.StatusBadRequest, "invalid_target")
}

// TestProxyForwards: the vendor gets the account's token, and of the caller's headers none that would speak for somebody.
func TestProxyForwards(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	r := w.ask(token, "GET", "/proxy/files/files/a%20b/%C3%BC?q=1%20&q=2", "",
		"Cookie: sid=1", "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "Proxy-Authorization: Basic x", "Proxy-Foo: 1", "X-Api-Key: mine", "X-Goog-Iam-Authorization-Token: mine",
		"Connection: X-Mine", "X-Mine: 1", "TE: trailers", "X_Odd: 1", "Origin: https://evil.example", "Referer: https://evil.example", "Accept: application/json", "X-Custom: kept", "Sforce-Call-Options: a=b", "Via: 1.1 me")
	if r.status != http.StatusOK || r.raw != "GET for alice" || r.header.Get("Grantry-Error") != "" {
		t.Fatalf("%s", r)
	}
	got := w.vendor.requests()
	if len(got) != 1 || got[0].uri != "/instance/files/a%20b/%C3%BC?q=1%20&q=2" || got[0].host != strings.TrimPrefix(w.vendor.srv.URL, "http://") {
		t.Fatalf("%+v", got)
	}
	h := got[0].header
	if len(h.Values("Authorization")) != 1 || strings.Contains(h.Get("Authorization"), "gp_") || h.Get("Accept") != "application/json" || h.Get("X-Custom") != "kept" || h.Get("Sforce-Call-Options") != "a=b" {
		t.Errorf("%v", h)
	}
	for _, name := range []string{"Cookie", "Forwarded", "X-Forwarded-For", "Proxy-Authorization", "Proxy-Foo", "X-Api-Key", "X-Goog-Iam-Authorization-Token", "X-Mine", "Te", "X_odd", "X_Odd", "Origin", "Referer", "Via"} {
		if _, there := h[name]; there {
			t.Errorf("%s went on", name)
		}
	}
}

// TestProxyAnswers: what a vendor's page would do in a browser it does not do at our origin.
func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	r := w.ask(token, "GET", "/proxy/files/files/page", "")
	if r.status != http.StatusOK || r.raw != "<script>alert(1)</script>" {
		t.Fatalf("%s", r)
	}
	for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Access-Control-Allow-Origin", "Clear-Site-Data", "Refresh", "X-Echo", "Grantry-Error", "X-Hop", "Service-Worker-Allowed"} {
		if v := r.header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store", "Etag": `"1"`, "X-Rate": "5", "Content-Type": "text/html",
	} {
		if got := r.header.Values(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	r = w.ask(token, "GET", "/proxy/files/files/echo", "")
	proxyRefused(t, "an echo of the token", r, http.StatusBadGateway, "server_error")
	if strings.Contains(r.raw, "canary") {
		t.Errorf("the token: %s", r)
	}
	resp := w.stream(token, "/proxy/files/files/echo?late=1")
	defer resp.Body.Close()
	if raw, err := readAll(resp); err == nil || strings.Contains(raw, "canary") {
		t.Errorf("an echo in pieces: %q, %v", raw, err)
	}
	if r := w.ask(token, "HEAD", "/proxy/files/files/one", ""); r.status != http.StatusOK || r.raw != "" {
		t.Errorf("HEAD: %s", r)
	}
}

// TestProxyMixups: a proxy token is for its workload, user, connection and account, from the workload's addresses, and for five minutes.
func TestProxyMixups(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) {
		one := c.Workloads["reports"]
		one.Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		c.Workloads["reports"] = one
		two := c.Workloads["nightly"]
		two.Connections["mail"], two.Proxy["mail"] = []string{"files.read", "mail.read"}, []string{"GET /files/*"}
	})
	reports := []func(*sent){with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "mail.read")}
	w.follow(w.send(reports...), "alice", "mail.read")
	w.connect("bob", "files.read")
	alice, bob := w.pass(), w.pass(with("subject_token", w.idp.issue("bob")))
	if r := w.ask(bob, "GET", "/proxy/files/files/one", ""); r.raw != "GET for bob" {
		t.Errorf("bob's: %s", r)
	}
	if r := w.ask(alice, "GET", "/proxy/files/files/one", ""); r.raw != "GET for alice" {
		t.Errorf("alice's: %s", r)
	}
	n := len(w.vendor.requests())
	proxyRefused(t, "another connection", w.ask(alice, "GET", "/proxy/mail/files/one", ""), http.StatusForbidden, "access_denied")
	proxyRefused(t, "no such connection", w.ask(alice, "GET", "/proxy/nowhere/files/one", ""), http.StatusForbidden, "access_denied")
	proxyRefused(t, "another address", w.ask(w.pass(reports...), "GET", "/proxy/mail/files/one", ""), http.StatusForbidden, "unauthorized_client")
	for name, value := range map[string]string{
		"no token": "", "credentials": "Basic " + base64.StdEncoding.EncodeToString([]byte("nightly:"+secret)), "a subject token": "Bearer " + w.idp.issue("alice"),
		"a vendor's token": "Bearer " + w.send().str("access_token"), "made up": "Bearer gp_" + strings.Repeat("A", 43), "too short": "Bearer gp_AAAA", "cut": "Bearer " + alice[:45], "twice": "Bearer " + alice + " " + alice,
	} {
		r := w.ask(alice, "GET", "/proxy/files/files/one", "", "Authorization: "+value)
		proxyRefused(t, name, r, http.StatusUnauthorized, "invalid_token")
		if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %v", name, r.header)
		}
	}
	proxyRefused(t, "two headers", w.raw("", "GET /proxy/files/files/one", "Authorization: Bearer "+alice, "Authorization: Bearer "+bob), http.StatusUnauthorized, "invalid_token")
	proxyRefused(t, "in the query", w.raw("", "GET /proxy/files/files/one?access_token="+alice), http.StatusBadRequest, "invalid_request")
	w.clock.add(5*time.Minute + time.Second)
	proxyRefused(t, "too old", w.ask(alice, "GET", "/proxy/files/files/one", ""), http.StatusUnauthorized, "invalid_token")
	if got := len(w.vendor.requests()); got != n {
		t.Errorf("%d requests went out", got-n)
	}
	if strings.Contains(w.log.String(), "gp_") || strings.Contains(w.log.String(), "canary") {
		t.Error("a token is in the log")
	}
}

// TestProxyTakenAway: what a person takes away is gone for tokens that are out, and for a request on its way.
func TestProxyTakenAway(t *testing.T) {
	t.Parallel()
	var stopped vault.StopScope // of "agent"
	for name, take := range map[string]func(w *proxyWorld, c vault.Caller) error{
		"access": func(w *proxyWorld, c vault.Caller) error {
			all, err := w.AccessList(w.t.Context(), c)
			if err != nil {
				return err
			}
			return w.RevokeAccess(w.t.Context(), c, all[0].ID)
		},
		"agent": func(w *proxyWorld, c vault.Caller) error {
			stopped.Agent = w.AgentKey(vault.Agent{Issuer: vault.WorkloadIssuer, ID: "nightly"})
			_, err := w.Stop(w.t.Context(), c, stopped)
			return err
		},
		"account": func(w *proxyWorld, c vault.Caller) error {
			all, err := w.Accounts(w.t.Context(), c)
			if err != nil {
				return err
			}
			_, err = w.Disconnect(w.t.Context(), c, all[0].ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newProxyWorld(t)
			w.t = t
			token := w.pass()
			resp := w.stream(token, "/proxy/files/files/drip")
			defer resp.Body.Close()
			if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if err := take(w, vault.Caller{Issuer: idp, Subject: "alice"}); err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(resp); err == nil {
				t.Error("a request on its way came to its end")
			}
			n := len(w.vendor.requests())
			r := w.ask(token, "GET", "/proxy/files/files/one", "")
			if r.status != http.StatusForbidden || r.str("error") == "" || len(w.vendor.requests()) != n {
				t.Errorf("%s", r)
			}
			if name == "agent" {
				if err := w.Resume(t.Context(), vault.Caller{Issuer: idp, Subject: "alice"}, stopped); err != nil {
					t.Fatal(err)
				}
			}
			w.connect("alice", "files.read mail.read")
			if r := w.ask(w.pass(), "GET", "/proxy/files/files/one", ""); r.raw != "GET for alice" {
				t.Errorf("after a new yes: %s", r)
			}
			if r := w.ask(token, "GET", "/proxy/files/files/one", ""); r.status/100 != 4 || r.raw == "GET for alice" || r.str("consent_uri") != "" {
				t.Errorf("the old token after a new yes: %s", r)
			}
			last := w.lines("alice")
			if e := last[0]; e.Kind != "proxy.request" || e.Result != "failed" || e.Reason != "stopped" || !e.Detail.Sent {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestProxyRenews: a 401 is one forced refresh and one more try, where the body can be sent again.
func TestProxyRenews(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesAllow })
	token := w.pass()
	w.vendor.set(func(v *vendor) { v.refuses = 1 })
	if r := w.ask(token, "GET", "/proxy/files/files/one", ""); r.raw != "GET for alice" || len(w.vendor.requests()) != 2 || w.vendor.spends != 1 {
		t.Errorf("%s, %d requests, %d refreshes", r, len(w.vendor.requests()), w.vendor.spends)
	}
	w.clock.add(time.Minute)
	w.vendor.set(func(v *vendor) { v.refuses = 1 })
	r := w.ask(w.pass(), "POST", "/proxy/files/files/one", "a body")
	if r.status != http.StatusUnauthorized || r.header.Get("Grantry-Error") != "" || r.header.Get("WWW-Authenticate") != "" || len(w.vendor.requests()) != 3 || w.vendor.spends != 2 {
		t.Errorf("a streamed body: %s, %d requests, %d refreshes", r, len(w.vendor.requests()), w.vendor.spends)
	}
	if r := w.ask(token, "GET", "/proxy/files/files/one", ""); r.raw != "GET for alice" {
		t.Errorf("after it: %s", r)
	}
}

// TestProxyScopes: a vendor that wants more scopes is a question to the person, as far as the ceiling goes.
func TestProxyScopes(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	r := w.ask(w.pass(), "GET", "/proxy/files/files/narrow", "")
	proxyRefused(t, "a scope is missing", r, http.StatusForbidden, "invalid_scope")
	if r.str("error_reason") != "under_scoped" {
		t.Errorf("%s", r)
	}
}

// TestProxyAudit: each request is one line of its person's, with what was asked sealed, and none goes out without an entry.
func TestProxyAudit(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	w.ask(token, "GET", "/proxy/files/files/quarterly-secret?q=query-secret", "")
	w.ask(token, "GET", "/proxy/files/elsewhere", "")
	all := w.lines("alice")
	if len(all) != 2 {
		t.Fatalf("%d lines: %+v", len(all), all)
	}
	e := all[0]
	if e.Kind != "proxy.request" || e.Result != "ok" || e.Agent != "nightly" || e.Tool != "proxy files GET /files/*" || e.Summary != "GET /files/quarterly-secret" ||
		e.Detail.Status != "2xx" || e.Detail.Bytes != 13 || e.Detail.Host == "" || e.Connection != "files" || e.Account == "" {
		t.Errorf("%+v", e)
	}
	if e := all[1]; e.Kind != "proxy.refused" || e.Reason != "proxy_rules" || e.Summary != "" {
		t.Errorf("%+v", e)
	}
	if text := w.audit(); strings.Contains(text, "quarterly-secret") || strings.Contains(text, "query-secret") || strings.Contains(text, "canary") || strings.Count(text, `"token.released"`) != 1 {
		t.Error("the audit has what it should not, or lacks a release")
	}
}

// deaf is a vault whose audit cannot be written.
type deaf struct{ *vault.Vault }

func (d deaf) Exchange(context.Context, vault.Request) (*vault.Token, error) {
	return nil, &vault.ConsentError{Reason: vault.VaultDegraded}
}

// TestProxyNoEntry: where the vault cannot write down that a token is used, nothing goes out.
func TestProxyNoEntry(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	cfg := w.cfg
	cfg.Vault, cfg.Records, cfg.Connection = deaf{w.Vault}, w.Records(), w.Connection
	s, err := sts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Config.Handler = s.Proxy()
	r := w.ask(token, "GET", "/proxy/files/files/one", "")
	proxyRefused(t, "no entry", r, http.StatusServiceUnavailable, "temporarily_unavailable")
	if n := len(w.vendor.requests()); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

// TestProxyLimits: a minute has so many requests, and so many writes.
func TestProxyLimits(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.CallsPerMinute, c.WritesPerMinute, c.Writes = 6, 1, sts.WritesAllow })
	token := w.pass() // connect and pass are two
	if r := w.ask(token, "POST", "/proxy/files/files/one", "x"); r.status != http.StatusOK {
		t.Errorf("%s", r)
	}
	proxyRefused(t, "two writes", w.ask(token, "POST", "/proxy/files/files/one", "x"), http.StatusTooManyRequests, "too_many_requests")
	for range 2 {
		if r := w.ask(token, "GET", "/proxy/files/files/one", ""); r.status != http.StatusOK {
			t.Errorf("%s", r)
		}
	}
	r := w.ask(token, "GET", "/proxy/files/files/one", "")
	proxyRefused(t, "seven", r, http.StatusTooManyRequests, "too_many_requests")
	if r.header.Get("Retry-After") == "" {
		t.Errorf("%v", r.header)
	}
}

// TestProxyHosts: a request names one of the connection's API hosts, or none.
func TestProxyHosts(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	reports := []func(*sent){with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "mail.read")}
	w.follow(w.send(reports...), "alice", "mail.read")
	token, host := w.pass(reports...), strings.TrimPrefix(w.vendor.srv.URL, "http://")
	for _, more := range [][]string{nil, {"Grantry-Host: " + host}} {
		if r := w.ask(token, "GET", "/proxy/mail/files/one", "", more...); r.raw != "GET for alice" {
			t.Errorf("%v: %s", more, r)
		}
	}
	n := len(w.vendor.requests())
	for _, other := range []string{"evil.example", "127.0.0.1", host + "@evil.example", "evil.example@" + host, host + "/x", "*", host + "."} {
		proxyRefused(t, other, w.ask(token, "GET", "/proxy/mail/files/one", "", "Grantry-Host: "+other), http.StatusBadRequest, "invalid_request")
	}
	for _, a := range w.vendor.requests() {
		if a.uri != "/files/one" || a.host != host || a.header.Get("Grantry-Host") != "" {
			t.Errorf("%+v", a)
		}
	}
	if got := len(w.vendor.requests()); got != n {
		t.Errorf("%d requests went out", got-n)
	}
}

// TestProxyForWideAccounts: where a token would be too wide to hand out, requests of the list go through all the same.
func TestProxyForWideAccounts(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) {
		one := c.Workloads["nightly"]
		one.Connections = map[string][]string{"files": {"files.read", "mail.read"}}
		c.Workloads["nightly"] = one
	})
	who := w.idp.issue("carol")
	w.follow(w.send(with("subject_token", who)), "carol", "files.read files.all")
	if r := w.send(with("subject_token", who)); r.status == http.StatusOK {
		t.Fatalf("a token that is too wide: %s", r)
	}
	if r := w.ask(w.pass(with("subject_token", who)), "GET", "/proxy/files/files/one", ""); r.raw != "GET for carol" {
		t.Errorf("%s", r)
	}
}

// TestProxyOtherProcess: a token is good at each process of the vault, and as far as that one's config goes.
func TestProxyOtherProcess(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	at := func(change func(*sts.Workload)) {
		one := w.cfg.Workloads["nightly"]
		change(&one)
		w.cfg.Workloads = map[string]sts.Workload{"nightly": one}
		w.srv.Config.Handler = w.over(w.Vault).Proxy()
	}
	w.srv.Config.Handler = w.over(w.open("p2")).Proxy()
	if r := w.ask(token, "GET", "/proxy/files/files/one", ""); r.raw != "GET for alice" {
		t.Errorf("%s", r)
	}
	at(func(one *sts.Workload) { one.Proxy = map[string][]string{"files": {"GET /other"}} })
	proxyRefused(t, "another list", w.ask(token, "GET", "/proxy/files/files/one", ""), http.StatusForbidden, "access_denied")
	at(func(one *sts.Workload) { one.Connections = map[string][]string{"files": {"mail.read"}} })
	proxyRefused(t, "a lower ceiling", w.ask(token, "GET", "/proxy/files/other", ""), http.StatusForbidden, "invalid_scope")
	at(func(one *sts.Workload) { one.Connections = nil })
	proxyRefused(t, "no connection", w.ask(token, "GET", "/proxy/files/other", ""), http.StatusForbidden, "access_denied")
	w.cfg.Workloads = nil
	w.srv.Config.Handler = w.over(w.Vault).Proxy()
	proxyRefused(t, "no workload", w.ask(token, "GET", "/proxy/files/other", ""), http.StatusUnauthorized, "invalid_token")
}
