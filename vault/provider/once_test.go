package provider_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/provider"
	"github.com/grantry/grantry/vault/storetest/port"
)

const vendorToken = "POST vendor.example.com/token"

// TestOnePOST is R24, R25 and R27: whatever a token endpoint does, it sees one
// request, within the time limit, and the failure is classed by what it proves.
func TestOnePOST(t *testing.T) {
	t.Parallel()
	elsewhere := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://thief.example.com/token")
			w.WriteHeader(status)
		}
	}
	const ok = `{"access_token":"access-1","token_type":"bearer"`
	cases := map[string]struct {
		answer http.HandlerFunc
		class  provider.Class
		code   string
		cause  error
	}{
		"301":               {elsewhere(301), provider.Clean, "", nil},
		"302":               {elsewhere(302), provider.Clean, "", nil},
		"303":               {elsewhere(303), provider.Clean, "", nil},
		"307":               {elsewhere(307), provider.Clean, "", nil},
		"308":               {elsewhere(308), provider.Clean, "", nil},
		"500":               {reply(500, "text/html", "<h1>CANARY</h1>"), provider.Ambiguous, "", nil},
		"500 invalid_grant": {jsonReply(500, `{"error":"invalid_grant"}`), provider.Ambiguous, "invalid_grant", nil},
		"503":               {jsonReply(503, `{"error":"temporarily_unavailable"}`), provider.Ambiguous, "temporarily_unavailable", nil},
		"408":               {reply(408, "", ""), provider.Ambiguous, "", nil},
		"429":               {reply(429, "", ""), provider.Clean, "", nil},
		"404 page":          {reply(404, "text/html", "CANARY"), provider.Clean, "", nil},
		"400 server_error":  {jsonReply(400, `{"error":"server_error"}`), provider.Ambiguous, "server_error", nil},
		"echo in error":     {jsonReply(400, `{"error":"refresh-1 is not known CANARY"}`), provider.Clean, "", nil},
		"not JSON":          {jsonReply(200, "<html>CANARY"), provider.Ambiguous, "", nil},
		"no token":          {jsonReply(200, "{}"), provider.Ambiguous, "no_access_token", nil},
		"JSON list":         {jsonReply(200, "[]"), provider.Ambiguous, "", nil},
		"two tokens":        {jsonReply(200, ok+`,"access_token":"access-2"}`), provider.Ambiguous, "", nil},
		"two values":        {jsonReply(200, ok+`}{}`), provider.Ambiguous, "", nil},
		"deep":              {jsonReply(200, ok+`,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}"), provider.Ambiguous, "", nil},
		"control in token":  {jsonReply(200, `{"access_token":"a\r\nX-Evil: 1"}`), provider.Ambiguous, "no_access_token", nil},
		"long token":        {jsonReply(200, `{"access_token":"`+strings.Repeat("a", 200<<10)+`"}`), provider.Ambiguous, "no_access_token", nil},
		"truncated":         {truncated(ok + "}"), provider.Ambiguous, "", nil},
		"reset":             {hangUp, provider.Ambiguous, "", nil},
		"garbage":           {garbage, provider.Ambiguous, "", nil},
		"hang":              {hang, provider.Ambiguous, "", context.DeadlineExceeded},
		"drip":              {drip, provider.Ambiguous, "", context.DeadlineExceeded},
		"2 MiB":             {jsonReply(200, ok+`,"x":"`+strings.Repeat("x", 2<<20)+`"}`), provider.Ambiguous, "", provider.ErrTooLarge},
		"gzip bomb":         {bomb, provider.Ambiguous, "", provider.ErrTooLarge},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.on(vendorToken, v.answer)
			limit := 20 * time.Second
			if errors.Is(v.cause, context.DeadlineExceeded) {
				limit = 300 * time.Millisecond
			}
			c, err := provider.NewConnection(registration(t, "oauth2", nil), provider.Config{HTTP: n.client(), Now: noon, TokenTimeout: limit})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			wantToken(t, err, v.class, v.code)
			if v.cause != nil && !errors.Is(err, v.cause) {
				t.Errorf("got %v, want %v", err, v.cause)
			}
			if sent := n.took(); len(sent) != 1 {
				t.Errorf("sent %d requests: %q", len(sent), sent)
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// truncated promises more than it sends.
func truncated(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+10))
		_, _ = io.WriteString(w, body)
	}
}

func hijack(w http.ResponseWriter, say string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, say)
	_ = conn.Close()
}

func hangUp(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }
func garbage(w http.ResponseWriter, _ *http.Request) {
	hijack(w, "CANARY refresh-1 is no HTTP\r\n\r\n")
}

// hang never answers. It aborts, because a handler that returns ends its
// answer, which a slow client may still read as a whole one.
func hang(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// drip sends a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, " "); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-tick.C:
		}
	}
}

// packed is 16 MiB of spaces in 16 KiB.
var packed = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 16<<20))
	_ = z.Close()
	return out.Bytes()
})

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed())
}

// TestNothingSent: without a connection nothing was spent.
func TestNothingSent(t *testing.T) {
	t.Parallel()
	nobody := "https://" + port.Get(t).Addr()
	n := newInternet(t)
	cases := map[string]struct {
		token  string
		client *http.Client
	}{
		"nobody listens": {nobody + "/token", nil},
		"untrusted TLS":  {n.server.URL + "/token", nil},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := provider.NewConnection(registration(t, "oauth2", func(r *provider.Registration) { r.Endpoints.Token = v.token }), provider.Config{HTTP: v.client})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
			wantToken(t, err, provider.Clean, "")
			if sent := n.took(); len(sent) != 0 {
				t.Errorf("sent %q", sent)
			}
		})
	}
}

// TestRetryAfter reads seconds and dates, and believes no more than a day.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-5": 0, "soon": 0, "99999999999": 24 * time.Hour,
		noon().Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		noon().Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		n := newInternet(t)
		n.on(vendorToken, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := n.connection("oauth2", nil).Refresh(t.Context(), provider.NewSecret("refresh-1"), nil)
		if e := wantToken(t, err, provider.Clean, ""); e.RetryAfter != want {
			t.Errorf("%q: %v, want %v", value, e.RetryAfter, want)
		}
	}
}

// TestCancelled: a caller who gives up leaves an ambiguous request behind.
func TestCancelled(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	ctx, cancel := context.WithCancel(t.Context())
	n.on(vendorToken, func(w http.ResponseWriter, r *http.Request) { cancel(); hang(w, r) })
	_, err := n.connection("oauth2", nil).Refresh(ctx, provider.NewSecret("refresh-1"), nil)
	wantToken(t, err, provider.Ambiguous, "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
