package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestFaultExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.connect("google", "alice", gcal, "access_type", "offline")
	b := w.connect("google", "bob", gcal)
	w.fault(map[string]any{"vendor": "google", "kind": "expire", "user": "alice"})
	want(t, "alice", w.get(w.calendarURL("primary", nil), str(a, "access_token")).status, http.StatusUnauthorized)
	want(t, "bob", w.get(w.calendarURL("primary", nil), str(b, "access_token")).status, http.StatusOK)
	next := w.refresh("google", str(a, "refresh_token")).object(t)
	want(t, "refreshed", w.get(w.calendarURL("primary", nil), str(next, "access_token")).status, http.StatusOK)
}

func TestFaultRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	got := w.connect("salesforce", "alice", "api refresh_token")
	w.fault(map[string]any{"vendor": "salesforce", "kind": "revoke", "user": "alice"})
	want(t, "api", w.soql(str(got, "access_token"), "SELECT Id FROM Account").status, http.StatusUnauthorized)
	want(t, "refresh", str(w.refresh("salesforce", str(got, "refresh_token")).object(t), "error"), "invalid_grant")
}

func TestFaultRotateStrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for vendor, scope := range map[string]string{"google": gcal, "salesforce": "api refresh_token"} {
		first := w.connect(vendor, "alice", scope, "access_type", "offline")
		w.fault(map[string]any{"vendor": vendor, "kind": "rotate_strict"})
		second := w.refresh(vendor, str(first, "refresh_token")).object(t)
		if str(second, "refresh_token") == "" {
			t.Fatalf("%s does not rotate", vendor)
		}
		third := w.refresh(vendor, str(second, "refresh_token")).object(t)
		want(t, "reuse", str(w.refresh(vendor, str(second, "refresh_token")).object(t), "error"), "invalid_grant")
		want(t, "family", str(w.refresh(vendor, str(third, "refresh_token")).object(t), "error"), "invalid_grant")
	}
	for _, g := range w.grants() {
		want(t, g.Vendor+" live", g.Live, false)
		want(t, g.Vendor+" spent", g.Spent, 2)
	}
	got := w.connect("slack", "bob", "chat:write")
	next := w.refresh("slack", str(got, "authed_user", "refresh_token")).object(t)
	w.refresh("slack", str(got, "authed_user", "refresh_token"))
	want(t, "Slack alone does not kill the family", w.grants()[2].Live, true)
	w.fault(map[string]any{"vendor": "slack", "kind": "rotate_strict"})
	w.refresh("slack", str(got, "authed_user", "refresh_token"))
	want(t, "strict Slack does", w.grants()[2].Live, false)
	want(t, "the newest too", str(w.refresh("slack", str(next, "refresh_token")).object(t), "error"), "invalid_refresh_token")
}

func TestFaultsOfConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for vendor, c := range map[string]struct{ ask, narrow string }{
		"google":     {"openid email " + gcal, "openid https://www.googleapis.com/auth/userinfo.email"},
		"salesforce": {"api refresh_token id", "refresh_token id"},
	} {
		w.fault(map[string]any{"vendor": vendor, "kind": "narrow_scopes"})
		want(t, vendor, str(w.connect(vendor, "alice", c.ask), "scope"), c.narrow)
		want(t, vendor+" after", str(w.connect(vendor, "alice", c.ask), "scope") != c.narrow, true)
		w.fault(map[string]any{"vendor": vendor, "kind": "drop_refresh", "times": 2})
		for _, expected := range []bool{false, false, true} {
			got := w.connect(vendor, "bob", c.ask, "access_type", "offline", "prompt", "consent")
			want(t, vendor, str(got, "refresh_token") != "", expected)
		}
	}
	w.fault(map[string]any{"vendor": "slack", "kind": "narrow_scopes"})
	want(t, "no identity scope: the first", str(w.connect("slack", "alice", "chat:write,channels:read"), "authed_user", "scope"), "chat:write")
	w.fault(map[string]any{"vendor": "slack", "kind": "drop_refresh"})
	want(t, "slack", str(w.connect("slack", "bob", "chat:write"), "authed_user", "refresh_token"), "")
}

func TestFaultsOfTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	got := w.connect("google", "alice", gcal, "access_type", "offline")
	api := func() answer { return w.get(w.calendarURL("primary", nil), str(got, "access_token")) }
	refresh := func() answer { return w.refresh("google", str(got, "refresh_token")) }

	w.fault(map[string]any{"vendor": "google", "kind": "status", "times": 2})
	want(t, "api 503", api().status, http.StatusServiceUnavailable)
	want(t, "token 503", refresh().status, http.StatusServiceUnavailable)
	want(t, "after", api().status, http.StatusOK)
	want(t, "nothing was spent", w.grants()[0].Spent, 0)

	w.fault(map[string]any{"vendor": "google", "kind": "status", "status": 502, "endpoint": "token"})
	want(t, "api untouched", api().status, http.StatusOK)
	want(t, "token 502", refresh().status, http.StatusBadGateway)

	w.fault(map[string]any{"vendor": "google", "kind": "status", "endpoint": "revoke"})
	want(t, "api untouched", api().status, http.StatusOK)
	revoke := func() int {
		return w.post(w.vendor("google").Revocation, url.Values{"token": {"a-token-of-nobody"}}).status
	}
	want(t, "revoke 503", revoke(), http.StatusServiceUnavailable)
	w.fault(map[string]any{"vendor": "google", "kind": "status"})
	want(t, "revoke untouched", revoke(), http.StatusBadRequest)
	want(t, "api 503", api().status, http.StatusServiceUnavailable)

	w.fault(map[string]any{"vendor": "google", "kind": "retry_after"})
	want(t, "token untouched", refresh().status, http.StatusOK)
	limited := api()
	want(t, "429", limited.status, http.StatusTooManyRequests)
	want(t, "Retry-After", limited.header.Get("Retry-After"), "1")
	want(t, "reason", str(list(limited.object(t)["error"].(map[string]any), "errors")[0], "reason"), "rateLimitExceeded")

	w.fault(map[string]any{"vendor": "google", "kind": "truncate"})
	cut := refresh()
	want(t, "truncated status", cut.status, http.StatusOK)
	if json.Valid(cut.body) || !strings.HasPrefix(string(cut.body), `{"access_token":`) {
		t.Errorf("not half of a token answer: %s", cut.body)
	}
	want(t, "spent all the same", w.grants()[0].Spent, 2)

	w.fault(map[string]any{"vendor": "google", "kind": "delay", "delay_ms": 150})
	began := time.Now()
	want(t, "delayed", api().status, http.StatusOK)
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("answered after %v", d)
	}

	w.fault(map[string]any{"vendor": "google", "kind": "status", "times": 100})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.base+"/control/faults", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.box.ControlSecret())
	want(t, "calm", w.do(req).status, http.StatusOK)
	want(t, "after calm", api().status, http.StatusOK)
}

func TestFaultsInTheVendorsOwnWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	sl := str(w.connect("slack", "alice", "chat:write"), "authed_user", "access_token")
	w.fault(map[string]any{"vendor": "slack", "kind": "retry_after"})
	res := w.post(w.vendor("slack").API+"/api/auth.test", nil, "Authorization", "Bearer "+sl)
	want(t, "slack status", res.status, http.StatusTooManyRequests)
	want(t, "slack", str(res.object(t), "error"), "ratelimited")
	sf := str(w.connect("salesforce", "alice", "api"), "access_token")
	w.fault(map[string]any{"vendor": "salesforce", "kind": "retry_after"})
	limited := w.soql(sf, "SELECT Id FROM Account")
	code, _ := sfErrors(t, limited)
	want(t, "salesforce status", limited.status, http.StatusTooManyRequests)
	want(t, "salesforce", code, "REQUEST_LIMIT_EXCEEDED")
}
