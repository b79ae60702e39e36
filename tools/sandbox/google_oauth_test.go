package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	gcal  = "https://www.googleapis.com/auth/calendar.readonly"
	gdocs = "https://www.googleapis.com/auth/drive.readonly"
)

// keys reads a JWKS.
func (w *world) keys(from string) jose.JSONWebKeySet {
	w.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.get(from, "").body, &set); err != nil {
		w.t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() {
			w.t.Fatal("a private key is published")
		}
	}
	return set
}

// claims verifies a JWT against a JWKS and gives its type and claims.
func (w *world) claims(raw, jwks string, algs ...jose.SignatureAlgorithm) (typ string, out map[string]any) {
	w.t.Helper()
	tok, err := jwt.ParseSigned(raw, algs)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := tok.Claims(w.keys(jwks), &out); err != nil {
		w.t.Fatalf("verifying: %v", err)
	}
	typ, _ = tok.Headers[0].ExtraHeaders["typ"].(string)
	return typ, out
}

func TestGoogleFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("google")
	got := w.connect("google", "alice", "openid email "+gcal, "access_type", "offline", "nonce", "n-1")
	want(t, "scope", str(got, "scope"), "openid https://www.googleapis.com/auth/userinfo.email "+gcal)
	want(t, "expires_in", got["expires_in"], any(float64(3599)))
	want(t, "token_type", str(got, "token_type"), "Bearer")

	_, id := w.claims(str(got, "id_token"), reg.JWKS, jose.RS256)
	want(t, "iss", str(id, "iss"), reg.Issuer)
	want(t, "aud", str(id, "aud"), reg.ClientID)
	want(t, "nonce", str(id, "nonce"), "n-1")
	want(t, "email", str(id, "email"), "alice@example.com")
	want(t, "email_verified", id["email_verified"], any(true))

	me := w.get(reg.Userinfo, str(got, "access_token"))
	want(t, "userinfo sub", str(me.object(t), "sub"), str(id, "sub"))

	next := w.refresh("google", str(got, "refresh_token")).object(t)
	if str(next, "access_token") == "" || str(next, "access_token") == str(got, "access_token") {
		t.Error("a refresh gives a new access token")
	}
	if _, there := next["refresh_token"]; there {
		t.Error("Google does not rotate refresh tokens")
	}
	want(t, "refresh again", w.refresh("google", str(got, "refresh_token")).status, http.StatusOK)

	want(t, "revoke", w.post(reg.Revocation, url.Values{"token": {str(next, "access_token")}}).status, http.StatusOK)
	dead := w.refresh("google", str(got, "refresh_token"))
	want(t, "refresh after revoke", dead.status, http.StatusBadRequest)
	want(t, "error", str(dead.object(t), "error"), "invalid_grant")
	want(t, "userinfo after revoke", w.get(reg.Userinfo, str(got, "access_token")).status, http.StatusUnauthorized)
	again := w.post(reg.Revocation, url.Values{"token": {str(next, "access_token")}})
	want(t, "revoke again", again.status, http.StatusBadRequest)
	want(t, "revoke again", str(again.object(t), "error"), "invalid_token")
}

func TestGoogleGivesARefreshTokenOnceUnlessAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, step := range []struct {
		name string
		more []string
		want bool
	}{
		{"online", nil, false},
		{"first offline", []string{"access_type", "offline"}, true},
		{"second offline", []string{"access_type", "offline"}, false},
		{"offline with prompt", []string{"access_type", "offline", "prompt", "select_account consent"}, true},
	} {
		got := w.connect("google", "bob", gcal, step.more...)
		want(t, step.name, str(got, "refresh_token") != "", step.want)
	}
	other := w.connect("google", "alice", gcal, "access_type", "offline")
	want(t, "another person's first", str(other, "refresh_token") != "", true)
}

func TestGoogleMergesScopesOnlyIfAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.connect("google", "alice", gcal)
	want(t, "without", str(w.connect("google", "alice", gdocs), "scope"), gdocs)
	want(t, "with", str(w.connect("google", "alice", gdocs, "include_granted_scopes", "true"), "scope"), gcal+" "+gdocs)
	want(t, "bob's are his", str(w.connect("google", "bob", gdocs, "include_granted_scopes", "true"), "scope"), gdocs)
}

func TestGoogleDecline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	back := w.click(w.vendor("google").Authorization, w.params("google", gcal), "Decline")
	want(t, "error", back.Get("error"), "access_denied")
	want(t, "state", back.Get("state"), "st-1")
	want(t, "code", back.Get("code"), "")
	want(t, "grants", len(w.grants()), 0)
}

func TestGooglePageNamesWhatIsAskedAndNeverRedirectsStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("google")
	page := w.get(reg.Authorization+"?"+w.params("google", gcal+" "+gdocs).Encode(), "")
	for _, text := range []string{"sandbox", gcal, gdocs, ">Allow as alice</button>", ">Allow as bob</button>", ">Decline</button>"} {
		if !strings.Contains(string(page.body), text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(string(page.body), "<script") {
		t.Error("the page has a script")
	}
	for name, more := range map[string][]string{
		"unknown client":  {"client_id", "nobody"},
		"foreign address": {"redirect_uri", "https://evil.example/callback/google"},
		"other path":      {"redirect_uri", public + "/callback/slack"},
		"no scope":        {"scope", ""},
		"unknown scope":   {"scope", "read:everything"},
		"plain challenge": {"code_challenge_method", "plain"},
		"implicit":        {"response_type", "token"},
	} {
		res := w.get(reg.Authorization+"?"+w.params("google", gcal, more...).Encode(), "")
		if res.status < 400 || res.header.Get("Location") != "" {
			t.Errorf("%s: status %d, location %q", name, res.status, res.header.Get("Location"))
		}
	}
	cross := w.post(reg.Authorization+"?"+w.params("google", gcal).Encode(), url.Values{"user": {"alice"}}, "Sec-Fetch-Site", "cross-site")
	want(t, "another site's click", cross.status, http.StatusForbidden)
}

func TestGoogleCodeIsTakenOnceAndOnlyByItsClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, code string
		more       []string
		status     int
		errorCode  string
	}{
		{"wrong verifier", "", []string{"code_verifier", "another"}, 400, "invalid_grant"},
		{"no verifier", "", []string{"code_verifier", ""}, 400, "invalid_grant"},
		{"other redirect address", "", []string{"redirect_uri", public + "/callback/other"}, 400, "redirect_uri_mismatch"},
		{"invented code", "4/0Anothing", nil, 400, "invalid_grant"},
		{"wrong secret", "", []string{"client_secret", "guess"}, 401, "invalid_client"},
		{"no secret", "", []string{"client_secret", ""}, 401, "invalid_client"},
		{"unknown client", "", []string{"client_id", "nobody"}, 401, "invalid_client"},
		{"other grant type", "", []string{"grant_type", "password"}, 400, "unsupported_grant_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			back := w.click(w.vendor("google").Authorization, w.params("google", gcal), "Allow as alice")
			code := back.Get("code")
			if c.code != "" {
				code = c.code
			}
			res := w.redeem("google", code, c.more...)
			want(t, "status", res.status, c.status)
			want(t, "error", str(res.object(t), "error"), c.errorCode)
		})
	}
	w := newWorld(t, "")
	back := w.click(w.vendor("google").Authorization, w.params("google", gcal), "Allow as alice")
	want(t, "first", w.redeem("google", back.Get("code")).status, http.StatusOK)
	want(t, "second", w.redeem("google", back.Get("code")).status, http.StatusBadRequest)
	back = w.click(w.vendor("google").Authorization, w.params("google", gcal), "Allow as alice")
	w.sleep(11 * time.Minute)
	want(t, "too late", w.redeem("google", back.Get("code")).status, http.StatusBadRequest)
}

func TestGoogleTakesBasicAndAnyLoopbackPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	reg := w.vendor("google")
	redirect := "http://127.0.0.1:51234/callback/google"
	back := w.click(reg.Authorization, w.params("google", gcal, "redirect_uri", redirect), "Allow as bob")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, reg.Token, strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(reg.ClientID), url.QueryEscape(reg.ClientSecret))
	want(t, "basic", w.do(req).status, http.StatusOK)
}
