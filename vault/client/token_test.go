package client_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/grantry/grantry/vault/client"
)

func readAll(r *http.Request) string {
	text, _ := io.ReadAll(r.Body)
	return string(text)
}

func TestOnTheWire(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	c := g.client(t, func(c *client.Config) { c.ClientID, c.Secret = "night:ly", client.Fixed("p@ss word+") })
	s := c.TokenSource(client.RefreshToken("rt-1"), "google", client.Options{Scopes: []string{"x", "y"}, Account: "work", MinTTL: 90 * time.Second})
	got, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"rt-1"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"connection": {"google"}, "scope": {"x y"}, "account": {"work"}, "min_ttl": {"90"},
	}
	ask := g.seen()[0]
	if diff := cmp.Diff(want, ask.Form); diff != "" {
		t.Errorf("the form differs (-want +got):\n%s", diff)
	}
	id, secret, _ := (&http.Request{Header: ask.Header}).BasicAuth()
	if id != "night%3Aly" || secret != "p%40ss+word%2B" { // RFC 6749 §2.3.1
		t.Errorf("it proves itself as %q, %q", id, secret)
	}
	if got.Access.Reveal() != "vendor-canary-rt-1-google-0" || got.Type != "Bearer" || !got.Expires.Equal(g.clock.Now().Add(3570*time.Second)) || cmp.Diff([]string{"a", "b"}, got.Scopes) != "" {
		t.Errorf("the token is %+v", got)
	}
}

// TestKeptByUser: what is kept for one is never another's, and one of the same name at another connection, account or width is another token.
func TestKeptByUser(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	c := g.client(t)
	source := func(user, connection string, o client.Options) *client.Source {
		return c.TokenSource(client.AccessToken(user), connection, o)
	}
	alice := token(t, source("alice", "google", client.Options{}))
	for range 3 {
		if again := token(t, source("alice", "google", client.Options{})); again != alice {
			t.Errorf("the same once more is %s", again)
		}
	}
	if n := len(g.seen()); n != 1 {
		t.Errorf("%d exchanges for one token", n)
	}
	if bob := token(t, source("bob", "google", client.Options{})); !strings.Contains(bob, "-bob-") {
		t.Errorf("bob gets %s", bob)
	}
	refreshed := c.TokenSource(client.RefreshToken("alice"), "google", client.Options{}) // the same text as another kind of proof
	for i, s := range []*client.Source{
		source("alice", "slack", client.Options{}), source("alice", "google", client.Options{Account: "work"}),
		source("alice", "google", client.Options{Scopes: []string{"a"}}), source("alice", "google", client.Options{Account: "a"}), refreshed,
	} {
		before := len(g.seen())
		if token(t, s); len(g.seen()) != before+1 {
			t.Errorf("source %d was answered with another's token", i)
		}
	}
	// One user whose proof changes keeps what they have; another of the same proof does not get it.
	n := 0
	changing := func(user string) *client.Source {
		return c.TokenSource(client.AccessTokens(user, func(context.Context) (client.Secret, error) {
			n++
			return client.NewSecret(fmt.Sprint("carol-", n)), nil
		}), "google", client.Options{})
	}
	first := token(t, changing("issuer carol"))
	if again := token(t, changing("issuer carol")); again != first || n != 1 {
		t.Errorf("carol gets %s and then %s, with %d proofs", first, again, n)
	}
	if other := token(t, changing("issuer dave")); other == first {
		t.Error("dave gets carol's token")
	}
}

func TestKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	s := g.client(t).TokenSource(client.AccessToken("alice"), "google", client.Options{})
	for _, step := range []struct {
		expires int
		after   time.Duration
		asks    int
	}{
		{3570, 0, 1},
		{3570, 3559 * time.Second, 1},
		{12, time.Second, 2}, // ten seconds before its end
		{12, 5 * time.Second, 2},
		{12, time.Second, 3}, // a short one to its half
		{0, 6 * time.Second, 4},
		{0, 0, 5}, // one that is over at once is not kept
	} {
		g.set(func() { g.expires = step.expires })
		g.clock.add(step.after)
		if token(t, s); len(g.seen()) != step.asks {
			t.Errorf("%+v: %d exchanges", step, len(g.seen()))
		}
	}
	long := g.client(t).TokenSource(client.AccessToken("alice"), "google", client.Options{MinTTL: time.Hour})
	g.set(func() { g.expires = 3700 })
	before := len(g.seen())
	token(t, long)
	g.clock.add(99 * time.Second)
	if token(t, long); len(g.seen()) != before+1 {
		t.Error("a token with an hour to live is asked for again")
	}
	g.clock.add(2 * time.Second)
	if token(t, long); len(g.seen()) != before+2 || g.seen()[before+1].Form.Get("min_ttl") != "3600" {
		t.Error("a token with less than MinTTL to live is given out")
	}
	long.Forget()
	if token(t, long); len(g.seen()) != before+3 {
		t.Error("what was forgotten is given out")
	}
}

// TestOneAsksForAll: of many at once one asks; who gives up goes alone.
func TestOneAsksForAll(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	hold, arrived := make(chan struct{}), make(chan struct{}, 100)
	g.answer = func(http.ResponseWriter, url.Values) bool { arrived <- struct{}{}; <-hold; return false }
	c := g.client(t)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := c.TokenSource(client.AccessToken("alice"), "google", client.Options{}).Token(ctx)
		left <- err
	}()
	<-arrived
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := c.TokenSource(client.AccessToken("alice"), "google", client.Options{}).Token(t.Context()); err != nil || got.Access.Reveal() != "vendor-canary-alice-google-0" {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	leave() // the one that asks
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(hold)
	wg.Wait()
	if n := len(g.seen()); n != 1 {
		t.Errorf("%d exchanges", n)
	}
}

// TestNothingPrints looks for every secret in whatever a program may print of this package.
func TestNothingPrints(t *testing.T) {
	t.Parallel()
	g := newGrantry(t)
	cfg := client.Config{BaseURL: g.URL, ClientID: "nightly", Secret: client.Fixed(appSecret)}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	subject := client.AccessToken("subject-canary")
	s := c.TokenSource(subject, "google", client.Options{Hosts: []string{"api.example.com"}})
	got, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secret, err := cfg.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{cfg, c, subject, s, *s, got, *got, got.Access, secret, &secret, []client.Secret{secret}, s.Client()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		log.Info("it", "v", v)
		text, _ := json.Marshal(v)
		out.Write(text)
	}
	if err := gob.NewEncoder(&out).Encode(got.Access); err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{appSecret, "subject-canary", "vendor-canary"} {
		if hex := fmt.Sprintf("%x", canary); strings.Contains(out.String(), canary) || strings.Contains(out.String(), hex) {
			t.Errorf("%s is printed", canary)
		}
	}
	if one, same := client.NewSecret("x"), client.NewSecret("x"); got.Access.String() != "[redacted]" || (client.Secret{}).Reveal() != "" || one != same {
		t.Error("a secret is not as it says")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	sign := func(context.Context, string, []byte) (string, error) { return "", nil }
	for name, cfg := range map[string]client.Config{
		"nothing":       {},
		"plain http":    {BaseURL: "http://grantry.example.com", ClientID: "a", Secret: client.Fixed("s")},
		"a path":        {BaseURL: "https://grantry.example.com/oauth/token", ClientID: "a", Secret: client.Fixed("s")},
		"a domain":      {BaseURL: "grantry.example.com", ClientID: "a", Secret: client.Fixed("s")},
		"a user":        {BaseURL: "https://u:p@grantry.example.com", ClientID: "a", Secret: client.Fixed("s")},
		"no client":     {BaseURL: "https://grantry.example.com", Secret: client.Fixed("s")},
		"no proof":      {BaseURL: "https://grantry.example.com", ClientID: "a"},
		"two proofs":    {BaseURL: "https://grantry.example.com", ClientID: "a", Secret: client.Fixed("s"), Sign: sign},
		"another thing": {BaseURL: "javascript:alert(1)", ClientID: "a", Secret: client.Fixed("s")},
	} {
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c, err := client.New(client.Config{BaseURL: "https://grantry.example.com/", ClientID: "a", Secret: client.Fixed("s")})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*client.Source{c.TokenSource(client.Subject{}, "google", client.Options{}), c.TokenSource(client.AccessToken("x"), "", client.Options{})} {
		if _, err := s.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a subject and a connection") {
			t.Errorf("half a source answers %v", err)
		}
	}
}
