package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder stands between Grantry and a counterparty (by `endpoints:`). It
// writes down what went over the wire and breaks what it is told to break.
type recorder struct {
	URL    string
	target string
	client *http.Client

	mu     sync.Mutex
	seen   []exchange
	faults []*fault
}

// exchange is one request with what came back for it.
type exchange struct {
	Method, Path, Query string
	Header              http.Header
	Body                string
	Status              int
	Answer              string
}

// fault breaks the next Times requests whose path contains Path.
type fault struct {
	Path   string
	Times  int
	Delay  time.Duration // wait before anything else
	Status int           // answer this instead of asking the counterparty
	Header http.Header
	Body   string
	Lose   bool                // ask the counterparty, then cut the line without an answer
	Edit   func(string) string // change the counterparty's answer
	Flood  http.HandlerFunc    // instead of all that
}

// newRecorder starts one in front of target, a base URL.
func newRecorder(t *testing.T, target string) *recorder {
	t.Helper()
	transport := &http.Transport{Proxy: nil}
	r := &recorder{target: strings.TrimSuffix(target, "/"), client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	r.URL = server.URL
	return r
}

// inject adds a fault; faults are used in the order in which they came.
func (r *recorder) inject(f fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	r.faults = append(r.faults, &f)
}

// exchanges answers what went to paths that contain path so far.
func (r *recorder) exchanges(path string) []exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []exchange
	for _, e := range r.seen {
		if strings.Contains(e.Path, path) {
			out = append(out, e)
		}
	}
	return out
}

func (r *recorder) faultFor(path string) fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		if f.Times > 0 && strings.Contains(path, f.Path) {
			f.Times--
			return *f
		}
	}
	return fault{}
}

// ServeHTTP passes one request on, unless a fault says otherwise.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	e := exchange{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Header: req.Header.Clone(), Body: string(body)}
	f := r.faultFor(req.URL.Path)
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-req.Context().Done():
		}
	}
	if f.Flood != nil {
		f.Flood(w, req)
		return
	}
	header := f.Header
	e.Status, e.Answer = f.Status, f.Body
	if f.Status == 0 {
		if e.Status, e.Answer, header, err = r.pass(req, body); err != nil {
			e.Status, e.Answer = http.StatusBadGateway, err.Error()
		}
	}
	if f.Edit != nil {
		e.Answer = f.Edit(e.Answer)
	}
	r.mu.Lock()
	r.seen = append(r.seen, e)
	r.mu.Unlock()
	if f.Lose {
		panic(http.ErrAbortHandler)
	}
	for name, values := range header {
		if name != "Content-Length" && name != "Transfer-Encoding" && name != "Connection" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(e.Status)
	io.WriteString(w, e.Answer) //nolint:errcheck // the other side may have gone
}

// pass asks the counterparty. It outlives the caller, as a real server would:
// a caller that hangs up has still spent its refresh token.
func (r *recorder) pass(req *http.Request, body []byte) (int, string, http.Header, error) {
	out, err := http.NewRequest(req.Method, r.target+req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	out.Header = req.Header.Clone()
	out.Header.Del("Accept-Encoding")
	resp, err := r.client.Do(out)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), resp.Header, err
}
