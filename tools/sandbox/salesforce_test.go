package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestSalesforceFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("salesforce")
	got := w.connect("salesforce", "alice", "openid api refresh_token", "nonce", "n-2")
	if _, there := got["expires_in"]; there {
		t.Error("Salesforce names no lifetime")
	}
	want(t, "instance_url", str(got, "instance_url"), reg.API)
	want(t, "scope", str(got, "scope"), "openid api refresh_token")
	if ms := str(got, "issued_at"); len(ms) != 13 {
		t.Errorf("issued_at %q is no string of milliseconds", ms)
	}
	_, id := w.claims(str(got, "id_token"), reg.JWKS, jose.RS256)
	want(t, "sub", str(id, "sub"), str(got, "id"))
	want(t, "nonce", str(id, "nonce"), "n-2")

	me := w.get(reg.Userinfo, str(got, "access_token")).object(t)
	want(t, "email", str(me, "email"), "alice@example.com")
	want(t, "id", reg.API+"/id/"+str(me, "organization_id")+"/"+str(me, "user_id"), str(got, "id"))
	want(t, "identity", str(w.get(str(got, "id"), str(got, "access_token")).object(t), "user_id"), str(me, "user_id"))

	next := w.refresh("salesforce", str(got, "refresh_token")).object(t)
	if _, there := next["refresh_token"]; there || str(next, "access_token") == "" {
		t.Error("a refresh gives a new access token and keeps the refresh token")
	}
	want(t, "revoke", w.post(reg.Revocation, url.Values{"token": {str(got, "refresh_token")}}).status, http.StatusOK)
	dead := w.refresh("salesforce", str(got, "refresh_token"))
	want(t, "after revoke", dead.status, http.StatusBadRequest)
	want(t, "after revoke", str(dead.object(t), "error"), "invalid_grant")
	bad := w.get(reg.Userinfo, str(next, "access_token"))
	want(t, "identity after revoke", bad.status, http.StatusForbidden)
	want(t, "identity after revoke", strings.TrimSpace(string(bad.body)), "Bad_OAuth_Token")
}

func TestSalesforceRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("salesforce")
	noRefresh := w.connect("salesforce", "bob", "api")
	want(t, "without refresh_token", str(noRefresh, "refresh_token"), "")
	want(t, "revoking one session", w.post(reg.Revocation, url.Values{"token": {str(noRefresh, "access_token")}}).status, http.StatusOK)

	q := w.params("salesforce", "api")
	q.Del("code_challenge")
	for name, change := range map[string][2]string{
		"missing challenge": {"code_challenge", ""}, "unknown scope": {"scope", "everything"}, "implicit": {"response_type", "token"},
	} {
		q := w.params("salesforce", "api", change[0], change[1])
		res := w.get(reg.Authorization+"?"+q.Encode(), "")
		back, err := url.Parse(res.header.Get("Location"))
		if err != nil || back.Query().Get("error") == "" || back.Query().Get("state") != "st-1" {
			t.Errorf("%s: %d %s", name, res.status, res.header.Get("Location"))
		}
	}
	back := w.click(reg.Authorization, w.params("salesforce", "api"), "Allow as bob")
	want(t, "verifier", str(w.redeem("salesforce", back.Get("code"), "code_verifier", "no").object(t), "error"), "invalid_grant")
	want(t, "secret", str(w.redeem("salesforce", "x", "client_secret", "no").object(t), "error"), "invalid_client")
	want(t, "client", str(w.redeem("salesforce", "x", "client_id", "no").object(t), "error"), "invalid_client_id")
	for redirect, status := range map[string]int{
		"http://127.0.0.1:1/callback/salesforce":  http.StatusOK, // the pages of a local person beside "serve --sandbox"
		"http://127.0.0.1:1/callback/google":      http.StatusBadRequest,
		"http://evil.example/callback/salesforce": http.StatusBadRequest,
	} {
		res := w.get(reg.Authorization+"?"+w.params("salesforce", "api", "redirect_uri", redirect).Encode(), "")
		want(t, redirect, res.status, status)
	}
}

// sfErrors reads Salesforce's list of errors.
func sfErrors(t *testing.T, a answer) (code, message string) {
	t.Helper()
	var list []struct{ ErrorCode, Message string }
	if err := json.Unmarshal(a.body, &list); err != nil || len(list) != 1 {
		t.Fatalf("no list with one error: %d %s", a.status, a.body)
	}
	return list[0].ErrorCode, list[0].Message
}

func (w *world) soql(token, q string, headers ...string) answer {
	w.t.Helper()
	return w.get(w.vendor("salesforce").API+"/services/data/v67.0/query?q="+url.QueryEscape(q), token, headers...)
}

func TestSalesforceSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	const q = "SELECT Id FROM Account"
	got := w.connect("salesforce", "alice", "api refresh_token")
	want(t, "alive", w.soql(str(got, "access_token"), q).status, http.StatusOK)
	w.sleep(2*time.Hour + time.Second)
	for name, token := range map[string]string{"ended": str(got, "access_token"), "invented": "00D!x", "none": "", "refresh token": str(got, "refresh_token")} {
		res := w.soql(token, q)
		code, _ := sfErrors(t, res)
		want(t, name, res.status, http.StatusUnauthorized)
		want(t, name, code, "INVALID_SESSION_ID")
	}
	fresh := w.connect("salesforce", "alice", "id openid")
	res := w.soql(str(fresh, "access_token"), q)
	_, message := sfErrors(t, res)
	want(t, "without api", res.status, http.StatusUnauthorized)
	want(t, "without api", message, "This session is not valid for use with the REST API")
	other := w.get(w.vendor("salesforce").API+"/services/data/v67.0/sobjects/Nothing", str(w.connect("salesforce", "bob", "api"), "access_token"))
	code, _ := sfErrors(t, other)
	want(t, "another resource", code, "NOT_FOUND")
}

func TestSalesforceBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	alice := str(w.connect("salesforce", "alice", "api"), "access_token")
	first := w.soql(alice, "SELECT Id, Name FROM Contact ORDER BY Id", "Sforce-Query-Options", "batchSize=200").object(t)
	want(t, "done", first["done"], any(false))
	want(t, "first batch", len(list(first, "records")), 200)
	want(t, "totalSize", first["totalSize"], any(float64(240)))
	next := str(first, "nextRecordsUrl")
	if !strings.HasPrefix(next, "/services/data/v67.0/query/01g") || !strings.HasSuffix(next, "-200") {
		t.Errorf("nextRecordsUrl %q", next)
	}
	last := w.get(w.vendor("salesforce").API+next, alice).object(t)
	want(t, "done", last["done"], any(true))
	want(t, "last batch", len(list(last, "records")), 40)
	want(t, "goes on", str(list(last, "records")[0], "Id") > str(list(first, "records")[199], "Id"), true)
	bob := str(w.connect("salesforce", "bob", "api"), "access_token")
	for name, res := range map[string]answer{
		"another's cursor": w.get(w.vendor("salesforce").API+next, bob),
		"invented cursor":  w.get(w.vendor("salesforce").API+"/services/data/v67.0/query/01gNOTHING-200", alice),
	} {
		code, _ := sfErrors(t, res)
		want(t, name, code, "INVALID_QUERY_LOCATOR")
	}
	small := w.soql(alice, "SELECT Id FROM Contact", "Sforce-Query-Options", "batchSize=5").object(t)
	want(t, "batchSize is at least 200", len(list(small, "records")), 200)
	want(t, "no option", w.soql(alice, "SELECT Id FROM Contact").object(t)["done"], any(true))
}
