package sts_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/vault/sts"
)

// TestProxyStreams: 64 MiB go through without being kept, pieces as they come, and no more of a body than may be.
// The heap is to be its own, so it runs alone.
func TestProxyStreams(t *testing.T) {
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesAllow })
	token := w.pass()
	resp := w.stream(token, "/proxy/files/files/big?mb=64")
	defer resp.Body.Close()
	var m runtime.MemStats
	total, peak := 0, uint64(0)
	for buf := make([]byte, 1<<20); ; {
		n, err := resp.Body.Read(buf)
		total += n
		if total%(8<<20) < n {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
		}
		if err != nil {
			break
		}
	}
	if total != 64<<20 || peak > 56<<20 {
		t.Errorf("%d bytes, heap %d MiB", total, peak>>20)
	}
	drip := w.stream(token, "/proxy/files/files/drip")
	defer drip.Body.Close()
	began := time.Now()
	if _, err := drip.Body.Read(make([]byte, 2)); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("the first piece: %v after %v", err, time.Since(began))
	}
	_ = drip.Body.Close()
	if r := w.ask(token, "POST", "/proxy/files/files/sink", strings.Repeat("x", 5<<20)); r.raw != "5242880 <nil>" && r.raw != "5242880<nil>" {
		t.Errorf("5 MiB: %s", r)
	}
	proxyRefused(t, "too long by its word", w.raw(token, "POST /proxy/files/files/sink", "Content-Length: 33554433"), http.StatusRequestEntityTooLarge, "invalid_request")
}

// TestProxyAnswersEarly: a vendor may answer before it has read the whole body, and both go on.
func TestProxyAnswersEarly(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesAllow })
	read, write := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.srv.URL+"/proxy/files/files/early", read)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 20
	req.Header.Set("Authorization", "Bearer "+w.pass())
	go func() { _, _ = io.WriteString(write, "0123456789") }()
	resp, err := w.srv.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(write, "0123456789")
	_ = write.Close()
	if r := w.read(resp); r.status != http.StatusAccepted || r.raw != "soon 20 <nil>" {
		t.Errorf("%s", r)
	}
}

// TestProxyRedirects: the token follows to its own host and to listed paths alone.
func TestProxyRedirects(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.Writes = sts.WritesAllow })
	token := w.pass()
	at := func(method, code, to string) reply {
		return w.ask(token, method, "/proxy/files/files/moved?code="+code+"&to="+to, "")
	}
	if r := at("GET", "302", "/instance/files/one"); r.raw != "GET for alice" {
		t.Errorf("to a listed path: %s", r)
	}
	n := len(w.vendor.requests())
	for name, to := range map[string]string{
		"another path": "/instance/secret", "beside the base": "/files/one", "dots": "/instance/files/../secret", "encoded dots": "/instance/files/%252e%252e/secret",
		"another host": "http://127.0.0.1:1/instance/files/one", "https": "https://evil.example/instance/files/one", "a user": "http://a@" + strings.TrimPrefix(w.vendor.srv.URL, "http://") + "/instance/files/one",
	} {
		r := at("GET", "302", to)
		proxyRefused(t, name, r, http.StatusBadGateway, "redirect_refused")
	}
	if got := len(w.vendor.requests()); got != n+7 {
		t.Errorf("%d requests came, and not 7", got-n)
	}
	for to, want := range map[string]string{
		w.vendor.srv.URL + "/instance/files/new?x=1": publicURL + "/proxy/files/files/new?x=1", "/instance/files/new": publicURL + "/proxy/files/files/new",
		"https://evil.example/x": "", w.vendor.srv.URL + "/elsewhere": "",
	} {
		for _, code := range []string{"201", "303", "307"} {
			if r := at("POST", code, to); r.header.Get("Location") != want || r.header.Get("Grantry-Error") != "" || r.status/100 != int(code[0]-'0') {
				t.Errorf("%s %s: %s %v, want %q", code, to, r, r.header, want)
			}
		}
	}
}

// TestProxySlow: a vendor that does not answer, or stops in the middle, does not hold a request; nor does a caller that went away.
func TestProxySlow(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t, func(c *sts.Config) { c.AnswerIn, c.PieceIn = time.Second, time.Second })
	token := w.pass()
	proxyRefused(t, "no answer", w.ask(token, "GET", "/proxy/files/files/silent", ""), http.StatusGatewayTimeout, "temporarily_unavailable")
	resp := w.stream(token, "/proxy/files/files/silent?after=some")
	if raw, err := readAll(resp); err == nil || raw != "some" {
		t.Errorf("an answer that stops: %q, %v", raw, err)
	}
	_ = resp.Body.Close()
	drip := w.stream(token, "/proxy/files/files/drip")
	for began := time.Now(); time.Since(began) < 2*time.Second; { // it is slow, and goes on
		if _, err := drip.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	_ = drip.Body.Close()
	for range 3 {
		select {
		case <-w.vendor.left:
		case <-time.After(20 * time.Second):
			t.Fatal("the vendor still works for somebody who left")
		}
	}
	if strings.Contains(w.log.String(), "silent") {
		t.Error("the log has a path")
	}
}
