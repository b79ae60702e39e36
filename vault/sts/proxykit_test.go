package sts_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault"
	"github.com/grantry/grantry/vault/sts"
)

const proxyType = "urn:grantry:proxy-token"

// proxyWorld is a world with the proxy on loopback, and alice connected.
type proxyWorld struct {
	*world
	srv *httptest.Server
}

func newProxyWorld(t testing.TB, change ...func(*sts.Config)) *proxyWorld {
	t.Helper()
	w := &proxyWorld{world: newWorld(t, append([]func(*sts.Config){func(c *sts.Config) {
		one := c.Workloads["nightly"]
		one.Proxy = map[string][]string{"files": {
			"GET /files/*", "HEAD /files/*", "POST /files/*", "PUT /files/one", "DELETE /files/*", "GET /x/*/y", "POST /graph/$batch", "GET /odd/*",
		}}
		c.Workloads["nightly"] = one
		other := c.Workloads["reports"]
		other.Proxy = map[string][]string{"mail": {"GET /files/*"}}
		c.Workloads["reports"] = other
	}}, change...)...)}
	w.srv = httptest.NewServer(w.sts.Proxy())
	t.Cleanup(w.srv.Close)
	w.connect("alice", "files.read mail.read")
	return w
}

// pass exchanges for a proxy token.
func (w *proxyWorld) pass(change ...func(*sent)) string {
	w.t.Helper()
	r := w.send(append([]func(*sent){with("requested_token_type", proxyType)}, change...)...)
	if r.status != http.StatusOK || r.str("issued_token_type") != proxyType || !strings.HasPrefix(r.str("access_token"), "gp_") {
		w.t.Fatalf("no proxy token: %s", r)
	}
	return r.str("access_token")
}

// ask sends one request to the proxy. more are header lines.
func (w *proxyWorld) ask(token, method, path, body string, more ...string) reply {
	w.t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.srv.URL+path, from)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, line := range more {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.srv.Client().Transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(resp)
}

func (w *proxyWorld) read(resp *http.Response) reply {
	w.t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if resp.Header.Get("Grantry-Error") == "" {
		return out
	}
	if err := json.Unmarshal(raw, &out.body); err != nil || out.str("error") != resp.Header.Get("Grantry-Error") || out.str("error_description") == "" || resp.Header.Get("Content-Type") != "application/json" {
		w.t.Errorf("not an error of ours as it should be: %s %v", out, resp.Header)
	}
	return out
}

// raw sends exactly these bytes as the head of a request, with the bearer unless the lines have one.
func (w *proxyWorld) raw(token, line string, headers ...string) reply {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.srv.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if token != "" {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: vault.example.com\r\nConnection: close\r\n%s\r\n\r\n", line, strings.Join(headers, "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	return w.read(resp)
}

// lines are the caller's page /activity, oldest first: only what the proxy wrote.
func (w *proxyWorld) lines(subject string) (out []vault.Activity) {
	w.t.Helper()
	all, _, err := w.Activity(w.t.Context(), vault.Caller{Issuer: idp, Subject: subject}, vault.ActivityQuery{Kinds: []string{"proxy.request", "proxy.refused", "token.released"}, Limit: 200})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range all {
		out = append([]vault.Activity{a}, out...)
	}
	return out
}

// proxyRefused checks an answer of the proxy's own.
func proxyRefused(t *testing.T, what string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.str("error") != code {
		t.Errorf("%s: %s, want %d %s", what, r, status, code)
	}
}

// stream begins a GET whose body the test reads.
func (w *proxyWorld) stream(token, path string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.srv.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := w.srv.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

func readAll(resp *http.Response) (string, error) {
	raw, err := io.ReadAll(resp.Body)
	return string(raw), err
}
