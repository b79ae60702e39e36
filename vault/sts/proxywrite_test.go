package sts_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

// approve answers a request's link as its person.
func (w *proxyWorld) approve(r reply, f vault.ApproveFor) {
	w.t.Helper()
	handle, ok := strings.CutPrefix(r.str("consent_uri"), publicURL+"/consent/")
	if !ok {
		w.t.Fatalf("no link: %s", r)
	}
	who := vault.Person{Caller: vault.Caller{Issuer: idp, Subject: "alice"}}
	if _, err := w.Allow(w.t.Context(), vault.Answer{Handle: handle, Person: who, Session: "s", Approve: f}); err != nil {
		w.t.Fatal(err)
	}
}

const one = "/proxy/files/files/one?notify=all"

// TestProxyAsks: a write waits for its person's word on exactly that request, and then runs once.
func TestProxyAsks(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"", "ask", "client"} {
		w := newProxyWorld(t, func(c *sts.Config) { c.Writes = rule })
		token := w.pass()
		post := func(path, body string, more ...string) reply {
			return w.ask(token, "POST", path, body, append([]string{"Content-Type: application/json"}, more...)...)
		}
		first := post(one, `{"amount": 5}`)
		proxyRefused(t, "the first", first, http.StatusForbidden, "approval_required")
		id := first.str("approval")
		if !strings.HasPrefix(id, "ap_") || first.str("error_reason") != "approval_required" || len(w.vendor.requests()) != 0 {
			t.Fatalf("%s", first)
		}
		if again := post(one, `{"amount": 5}`, "Grantry-Approval: "+id); again.str("approval") != id || again.str("consent_uri") != first.str("consent_uri") {
			t.Errorf("before the answer: %s", again)
		}
		w.approve(first, "")
		for what, r := range map[string]reply{
			"another body": post(one, `{"amount": 50}`, "Grantry-Approval: "+id), "another query": post("/proxy/files/files/one?notify=none", `{"amount": 5}`, "Grantry-Approval: "+id),
			"another path": post("/proxy/files/files/two?notify=all", `{"amount": 5}`, "Grantry-Approval: "+id), "another header": post(one, `{"amount": 5}`, "Grantry-Approval: "+id, "Prefer: silent"),
			"another type": w.ask(token, "POST", one, `{"amount": 5}`, "Grantry-Approval: "+id, "Content-Type: text/plain"), "an unknown one": post(one, `{"amount": 5}`, "Grantry-Approval: ap_unknown"),
			"another method": w.ask(token, "PUT", "/proxy/files/files/one?notify=all", `{"amount": 5}`, "Grantry-Approval: "+id, "Content-Type: application/json"),
		} {
			proxyRefused(t, what, r, http.StatusForbidden, "access_denied")
		}
		proxyRefused(t, "another body, unnamed", post(one, `{"amount": 50}`), http.StatusForbidden, "approval_required")
		if n := len(w.vendor.requests()); n != 0 {
			t.Fatalf("%d requests went out", n)
		}
		if r := post(one, `{"amount": 5}`, "Grantry-Approval: "+id); r.raw != "POST for alice" {
			t.Errorf("the approved one: %s", r)
		}
		if got := w.vendor.requests(); len(got) != 1 || got[0].body != `{"amount": 5}` || got[0].uri != "/instance/files/one?notify=all" || got[0].header.Get("Grantry-Approval") != "" {
			t.Errorf("%+v", got)
		}
		proxyRefused(t, "a replay", post(one, `{"amount": 5}`, "Grantry-Approval: "+id), http.StatusForbidden, "access_denied")
		proxyRefused(t, "the same again", post(one, `{"amount": 5}`), http.StatusForbidden, "approval_required")
		if n := len(w.vendor.requests()); n != 1 {
			t.Errorf("%d requests went out", n)
		}
	}
}

// TestProxyRepeats: the same request without a name runs, too, and is sent again once after a 401.
func TestProxyRepeats(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	w.approve(w.ask(token, "POST", one, "hello"), "")
	w.vendor.set(func(v *vendor) { v.refuses = 1 })
	if r := w.ask(w.pass(), "POST", one, "hello"); r.raw != "POST for alice" {
		t.Errorf("%s", r)
	}
	if got := w.vendor.requests(); len(got) != 2 || got[1].body != "hello" {
		t.Errorf("%+v", got)
	}
	e := w.lines("alice")
	if last := e[len(e)-1]; last.Kind != "proxy.request" || last.Detail.Approval == "" {
		t.Errorf("%+v", last)
	}
}

// TestProxyPage: what a page can show of the request is all of it.
func TestProxyPage(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	r := w.ask(w.pass(), "POST", one, `{"to": "bob", "a": [1, {"b": null}]}`, "Content-Type: application/json; charset=utf-8", "If-Match: *")
	a, err := w.Approval(t.Context(), vault.Caller{Issuer: idp, Subject: "alice"}, r.str("approval"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"request":"POST ` + w.vendor.srv.URL + `/instance/files/one","query":"notify=all","header Content-Type":"application/json; charset=utf-8","header If-Match":"*","body":{"to":"bob","a":[1,{"b":null}]}}`
	if string(a.Arguments) != want || a.Tool != "proxy files POST /files/*" || a.Title != "Send POST /files/* to files" || a.Destroy {
		t.Errorf("%s\n%s\n%+v", a.Arguments, want, a)
	}
	if text := w.audit(); strings.Contains(text, "notify") || strings.Contains(text, "files/one") {
		t.Error("the audit has the request in it")
	}
	for what, body := range map[string]string{"too long": strings.Repeat("x", 20000), "no text": "\xff\xfe"} {
		proxyRefused(t, what, w.ask(w.pass(), "POST", one, body), http.StatusForbidden, "access_denied")
	}
	proxyRefused(t, "packed", w.ask(w.pass(), "POST", one, "x", "Content-Encoding: gzip"), http.StatusForbidden, "access_denied")
	if n := len(w.vendor.requests()); n != 0 {
		t.Errorf("%d requests went out", n)
	}
}

// TestProxyStanding: a yes for an hour is for the rule that the page names, and none for what removes.
func TestProxyStanding(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	w.approve(w.ask(token, "POST", one, "1"), vault.ApproveHour)
	for _, body := range []string{"1", "2", "3"} {
		if r := w.ask(token, "POST", "/proxy/files/files/any", body); r.raw != "POST for alice" {
			t.Errorf("%s: %s", body, r)
		}
	}
	proxyRefused(t, "by another rule", w.ask(token, "PUT", "/proxy/files/files/one", "x"), http.StatusForbidden, "approval_required")
	all, err := w.StandingApprovals(t.Context(), vault.Caller{Issuer: idp, Subject: "alice"})
	if err != nil || len(all) != 1 || all[0].Tool != "proxy files POST /files/*" {
		t.Errorf("%+v, %v", all, err)
	}
	w.approve(w.ask(token, "DELETE", "/proxy/files/files/one", ""), vault.ApproveHour)
	if r := w.ask(token, "DELETE", "/proxy/files/files/one", ""); r.raw != "DELETE for alice" {
		t.Errorf("%s", r)
	}
	proxyRefused(t, "another deletion", w.ask(token, "DELETE", "/proxy/files/files/two", ""), http.StatusForbidden, "approval_required")
	w.clock.add(61 * time.Minute)
	proxyRefused(t, "after an hour", w.ask(w.pass(), "POST", one, "4"), http.StatusForbidden, "approval_required")
}

// TestProxyDenies: where the operator lets nothing be changed, nobody is asked.
func TestProxyDenies(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesDeny })
	r := w.ask(w.pass(), "POST", one, "1")
	proxyRefused(t, "a write", r, http.StatusForbidden, "access_denied")
	if r.str("consent_uri") != "" || len(w.vendor.requests()) != 0 {
		t.Errorf("%s", r)
	}
	if r := w.ask(w.pass(), "GET", "/proxy/files/files/one", ""); r.status != http.StatusOK {
		t.Errorf("%s", r)
	}
	e := w.lines("alice")
	if raw, _ := json.Marshal(e[0].Reason); string(raw) != `"policy_deny"` {
		t.Errorf("%+v", e[0])
	}
}

// TestProxyDeclined: a no is a no for a while, and the agent is told so.
func TestProxyDeclined(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	token := w.pass()
	r := w.ask(token, "POST", one, "1")
	who := vault.Person{Caller: vault.Caller{Issuer: idp, Subject: "alice"}}
	if _, err := w.Decline(t.Context(), strings.TrimPrefix(r.str("consent_uri"), publicURL+"/consent/"), who); err != nil {
		t.Fatal(err)
	}
	proxyRefused(t, "what was declined", w.ask(token, "POST", one, "1", "Grantry-Approval: "+r.str("approval")), http.StatusForbidden, "access_denied")
	if again := w.ask(token, "POST", one, "1"); again.str("consent_uri") != "" || again.status != http.StatusForbidden {
		t.Errorf("asked again at once: %s", again)
	}
}

// TestProxyStandingHost: a yes for an hour at one host is none for another of the connection's.
func TestProxyStandingHost(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) {
		one := c.Workloads["reports"]
		one.Proxy = map[string][]string{"mail": {"POST /files/*"}}
		c.Workloads["reports"] = one
	})
	reports := []func(*sent){with("client_id", "reports", "client_secret", "another-"+secret, "connection", "mail", "scope", "mail.read")}
	w.follow(w.send(reports...), "alice", "mail.read")
	token, at := w.pass(reports...), "Grantry-Host: "+strings.TrimPrefix(w.vendor.srv.URL, "http://")
	w.approve(w.ask(token, "POST", "/proxy/mail/files/one", "1", at), vault.ApproveHour)
	if r := w.ask(token, "POST", "/proxy/mail/files/two", "2", at); r.raw != "POST for alice" {
		t.Errorf("%s", r)
	}
	proxyRefused(t, "where no host is named", w.ask(token, "POST", "/proxy/mail/files/two", "2"), http.StatusForbidden, "approval_required")
}
