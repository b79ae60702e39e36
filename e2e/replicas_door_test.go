package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// door stands before a vendor's token endpoint and API. The API takes an access
// token for a while only, whatever its answer said of its life; the token
// endpoint can be shut: who comes then waits outside, and who goes away has sent nothing.
type door struct {
	*httptest.Server
	tokens, api string
	life        time.Duration

	mu      sync.Mutex
	born    map[string]time.Time // access token → when it was issued
	closed  chan struct{}        // closed when the door is open
	outside int
}

// newDoor stands before the token endpoint of tokens and the API api, both base URLs.
func newDoor(t *testing.T, tokens, api string, life time.Duration) *door {
	t.Helper()
	d := &door{tokens: tokens, api: api, life: life, born: map[string]time.Time{}, closed: make(chan struct{})}
	close(d.closed)
	d.Server = httptest.NewServer(d)
	t.Cleanup(func() { d.CloseClientConnections(); d.Close() })
	return d
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = make(chan struct{})
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.closed)
}

// waiting is how many stand outside.
func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outside
}

// enter says whether the caller was still there when the door opened.
func (d *door) enter(r *http.Request) bool {
	d.mu.Lock()
	closed := d.closed
	d.outside++
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.outside--
		d.mu.Unlock()
	}()
	select {
	case <-closed:
	case <-r.Context().Done():
	}
	return r.Context().Err() == nil
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path == "/token" {
		if d.enter(r) {
			d.pass(w, r, d.tokens, body)
		}
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	d.mu.Lock()
	born, known := d.born[token]
	d.mu.Unlock()
	if !known || time.Since(born) > d.life {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":{"code":401,"message":"Invalid Credentials","status":"UNAUTHENTICATED"}}`) //nolint:errcheck // the other side may have gone
		return
	}
	d.pass(w, r, d.api, body)
}

// pass asks the vendor, and notes the access token that it gives.
func (d *door) pass(w http.ResponseWriter, r *http.Request, to string, body []byte) {
	req, err := http.NewRequest(r.Method, to+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	req.Header.Del("Accept-Encoding")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	var given struct {
		Access string `json:"access_token"`
	}
	if json.Unmarshal(answer, &given) == nil && given.Access != "" {
		d.mu.Lock()
		d.born[given.Access] = time.Now()
		d.mu.Unlock()
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	w.Write(answer) //nolint:errcheck // the other side may have gone
}
