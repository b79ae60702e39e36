package provider_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/vault/provider"
)

// TestTokenGoesNowhereElse: the token is sent to API hosts only, and what is
// refused is not sent at all.
func TestTokenGoesNowhereElse(t *testing.T) {
	t.Parallel()
	cases := []struct{ vendor, at, sent string }{
		{"google", "https://www.googleapis.com/calendar/v3/x?a=b", "https://www.googleapis.com/calendar/v3/x?a=b"},
		{"google", "https://WWW.googleapis.com:443/x", "https://WWW.googleapis.com:443/x"},
		{"google", "https://docs.googleapis.com/v1/documents/1", "https://docs.googleapis.com/v1/documents/1"},
		{"google", "http://www.googleapis.com/x", ""},
		{"google", "https://www.googleapis.com:8443/x", ""},
		{"google", "https://www.googleapis.com.evil.example/x", ""},
		{"google", "https://evil.example/www.googleapis.com", ""},
		{"google", "https://storage.googleapis.com/bucket", ""},
		{"google", "https://doc-0.googleusercontent.com/x", ""}, // for downloads: by redirect, without the token
		{"google", "https://user:pw@www.googleapis.com/x", ""},
		{"google", "https://127.0.0.1/x", ""},
		{"salesforce", "https://acme.my.salesforce.com/services/data", "https://acme.my.salesforce.com/services/data"},
		{"salesforce", "https://login.salesforce.com/services/data", "https://acme.my.salesforce.com/services/data"}, // stands for the instance
		{"salesforce", "https://other.my.salesforce.com/services/data", ""},
		{"oidc", "https://api.example.com/v1", "https://api.example.com/v1"},
		{"oidc", "https://idp.example.com/me", ""},
	}
	for _, v := range cases {
		n := newInternet(t)
		if v.sent != "" {
			u, _ := url.Parse(v.sent)
			n.on("GET "+u.Host+u.Path, jsonReply(200, "{}"))
		}
		b := bearer(n.connection(v.vendor, nil), "access-1")
		if v.vendor == "salesforce" {
			b.APIBase = "https://acme.my.salesforce.com"
		}
		resp, err := b.Client(n.client().Transport, nil).Get(v.at)
		sent := n.took()
		var refused *provider.HostError
		switch {
		case v.sent == "" && (!errors.As(err, &refused) || len(sent) != 0):
			t.Errorf("%s: got %v and sent %q, want a HostError", v.at, err, sent)
		case v.sent == "":
			clean(t, refused)
		case err != nil:
			t.Errorf("%s: %v", v.at, err)
		case len(sent) != 1 || !strings.HasPrefix(sent[0], "GET "+v.sent+"\n") || !strings.Contains(sent[0], "Authorization: Bearer access-1\n"):
			t.Errorf("%s: sent %q", v.at, sent)
		default:
			_ = resp.Body.Close()
		}
	}
}

// TestOverriddenAPI: endpoints.api takes the place of scheme and host of every
// API host, its path in front, and wins over what the token answer named.
func TestOverriddenAPI(t *testing.T) {
	t.Parallel()
	cases := []struct{ vendor, api, at, sent string }{
		{"github", "https://ghe.example.com/api/v3", "https://api.github.com/repos/a/b%2Fc?x=1", "https://ghe.example.com/api/v3/repos/a/b%2Fc?x=1"},
		{"github", "https://ghe.example.com/api/v3/", "https://ghe.example.com/api/v3/user", "https://ghe.example.com/api/v3/user"},
		{"slack", "https://fake.example.com/slack", "https://slack.com/api/chat.postMessage", "https://fake.example.com/slack/api/chat.postMessage"},
		{"google", "https://fake.example.com/google", "https://docs.googleapis.com/v1/x", "https://fake.example.com/google/v1/x"},
		{"salesforce", "https://fake.example.com/sf", "https://login.salesforce.com/services/data", "https://fake.example.com/sf/services/data"},
		{"salesforce", "https://fake.example.com/sf", "https://acme.my.salesforce.com/services/data", "https://fake.example.com/sf/services/data"},
		{"google", "https://fake.example.com", "https://evil.example/x", ""},
		{"google", "https://fake.example.com", "http://fake.example.com/x", ""},
	}
	for _, v := range cases {
		n := newInternet(t)
		if u, _ := url.Parse(v.sent); v.sent != "" {
			n.on("GET "+u.Host+u.EscapedPath(), jsonReply(200, "{}"))
		}
		b := bearer(n.connection(v.vendor, func(r *provider.Registration) { r.Endpoints.API = v.api }), "access-1")
		b.APIBase = "https://acme.my.salesforce.com"
		if got, want := b.BaseURL(), strings.TrimSuffix(v.api, "/"); got != want {
			t.Errorf("base %s, want %s", got, want)
		}
		resp, err := b.Client(n.client().Transport, nil).Get(v.at)
		sent := n.took()
		switch {
		case v.sent == "" && (err == nil || len(sent) != 0):
			t.Errorf("%s: sent %q", v.at, sent)
		case v.sent != "" && (err != nil || len(sent) != 1 || !strings.HasPrefix(sent[0], "GET "+v.sent+"\n")):
			t.Errorf("%s: sent %q, %v", v.at, sent, err)
		case err == nil:
			_ = resp.Body.Close()
		}
	}
}

// TestNoTokenToBeSeen: neither the answer nor the request holds the token, and
// what the caller puts in its place does not go out.
func TestNoTokenToBeSeen(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET graph.microsoft.com/v1.0/me", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		_, _ = io.WriteString(w, "{}")
	})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
	req.Header.Set("Authorization", "Bearer mine")
	req.Header.Set("Cookie", "a=b")
	req.Header.Set("X-Kept", "yes")
	resp, err := bearer(n.connection("microsoft", nil), "access-1").Client(n.client().Transport, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Request.Header.Get("Authorization"); got != "Bearer mine" || resp.Request.URL.String() != req.URL.String() {
		t.Errorf("the answer's request is %v", resp.Request.Header)
	}
	if len(resp.Cookies()) != 0 {
		t.Errorf("cookies %v", resp.Cookies())
	}
	want := "GET https://graph.microsoft.com/v1.0/me\nAccept-Encoding: gzip\nAuthorization: Bearer access-1\nUser-Agent: grantry\nX-Kept: yes\n"
	if diff := cmp.Diff([]string{want}, n.took()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRenew: a dead token is renewed once; a body that can be had again goes
// again, one that cannot does not.
func TestRenew(t *testing.T) {
	t.Parallel()
	body := func() io.Reader { return strings.NewReader("text=hello") }
	cases := map[string]struct {
		body     io.Reader
		answers  []int
		renewErr error
		status   int
		sent     int
	}{
		"once":        {nil, []int{401, 200}, nil, 200, 2},
		"body":        {body(), []int{401, 200}, nil, 200, 2},
		"twice dead":  {nil, []int{401, 401}, nil, 401, 2},
		"stream":      {io.MultiReader(body()), []int{401}, nil, 401, 1},
		"not to have": {nil, []int{401}, errors.New("consent needed"), 0, 1},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			var answers []http.HandlerFunc
			for _, s := range v.answers {
				answers = append(answers, jsonReply(s, `{"n":1}`))
			}
			n.on("POST graph.microsoft.com/x", answers...)
			asked := 0
			renew := func(_ context.Context, stale provider.Bearer) (provider.Bearer, error) {
				asked++
				if stale.Generation != 1 || stale.Token.Reveal() != "access-1" {
					t.Errorf("stale is %d", stale.Generation)
				}
				stale.Generation, stale.Token = 2, provider.NewSecret("access-2")
				return stale, v.renewErr
			}
			client := bearer(n.connection("microsoft", nil), "access-1").Client(n.client().Transport, renew)
			resp, err := client.Post("https://graph.microsoft.com/x", "text/plain", v.body)
			sent := n.took()
			if !errors.Is(err, v.renewErr) || asked != 1 || len(sent) != v.sent {
				t.Fatalf("got %v, asked %d times, sent %q", err, asked, sent)
			}
			if err != nil {
				return
			}
			got, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != v.status || string(got) != `{"n":1}` {
				t.Errorf("got %d %q", resp.StatusCode, got)
			}
			if last := sent[len(sent)-1]; v.body != nil && !strings.HasSuffix(last, "\ntext=hello\n") || v.sent == 2 && !strings.Contains(last, "Bearer access-2") {
				t.Errorf("sent %q", last)
			}
		})
	}
}

// TestLaterCallsUseTheNewToken: within one tool call the dead token is not tried again.
func TestLaterCallsUseTheNewToken(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("GET graph.microsoft.com/x", jsonReply(401, ""), jsonReply(200, ""))
	client := bearer(n.connection("microsoft", nil), "access-1").Client(n.client().Transport, func(_ context.Context, b provider.Bearer) (provider.Bearer, error) {
		b.Token = provider.NewSecret("access-2")
		return b, nil
	})
	for range 2 {
		resp, err := client.Get("https://graph.microsoft.com/x")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if sent := n.took(); len(sent) != 3 || !strings.Contains(sent[2], "access-2") {
		t.Errorf("sent %q", sent)
	}
}

// TestSlackForm: the empty token that slack-go puts into each form is taken
// out, and the form can be sent again.
func TestSlackForm(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.on("POST slack.com/api/chat.postMessage", n.fixture("slack/api_dead"), jsonReply(200, `{"ok":true,"ts":"1.2"}`))
	client := bearer(n.connection("slack", nil), "access-1").Client(n.client().Transport, func(_ context.Context, b provider.Bearer) (provider.Bearer, error) {
		b.Token = provider.NewSecret("access-2")
		return b, nil
	})
	resp, err := client.PostForm("https://slack.com/api/chat.postMessage", url.Values{"token": {""}, "channel": {"C1"}, "text": {"a & b"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, _ := io.ReadAll(resp.Body); string(got) != `{"ok":true,"ts":"1.2"}` {
		t.Errorf("got %s", got)
	}
	const want = "POST https://slack.com/api/chat.postMessage\nAccept-Encoding: gzip\nAuthorization: Bearer access-%s\n" +
		"Content-Type: application/x-www-form-urlencoded\nUser-Agent: grantry\n  channel = C1\n  text = a & b\n"
	if diff := cmp.Diff([]string{strings.Replace(want, "%s", "1", 1), strings.Replace(want, "%s", "2", 1)}, n.took()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnswerCaps is T24: an answer ends at the cap, packed or not.
func TestAnswerCaps(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"plain": reply(200, "text/plain", strings.Repeat("x", 9<<20)),
		"gzip":  bomb,
		"error": reply(400, "text/plain", strings.Repeat("x", 9<<20)),
		"slack": jsonReply(200, `"`+strings.Repeat("x", 9<<20)+`"`),
	} {
		vendor, host := "google", "www.googleapis.com"
		if name == "slack" {
			vendor, host = "slack", "slack.com"
		}
		n := newInternet(t)
		n.on("GET "+host+"/x", h)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/x", nil)
		req.Header.Set("Accept-Encoding", "gzip") // would switch unpacking, and so the cap, off
		resp, err := bearer(n.connection(vendor, nil), "access-1").Client(n.client().Transport, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !errors.Is(err, provider.ErrTooLarge) || len(got) != 8<<20 {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
	}
}
