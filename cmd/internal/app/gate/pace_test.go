package gate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/grantry/grantry/cmd/internal/app/gate"
)

// dial speaks to a server by hand.
func dial(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestR70SlowBody: a body that does not come to its end is given up, and one that
// has come leaves the request alone, however long it then takes.
func TestR70SlowBody(t *testing.T) {
	t.Parallel()
	read := make(chan error, 2)
	over := make(chan error, 2)
	s := httptest.NewServer(gate.Pace{Body: 200 * time.Millisecond, Write: time.Minute}.Keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
		select {
		case <-r.Context().Done():
			over <- context.Cause(r.Context())
		case <-time.After(600 * time.Millisecond):
			over <- nil
		}
	})))
	t.Cleanup(s.Close)
	fmt.Fprint(dial(t, s), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a little")
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a body that stops: %v", err)
	}
	<-over
	whole := dial(t, s)
	fmt.Fprint(whole, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwhole")
	if err := <-read; err != nil {
		t.Errorf("a whole body: %v", err)
	}
	if err := <-over; err != nil {
		t.Errorf("a request whose body has come ended: %v", err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(whole), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("its answer: %v", err)
	}
}

// TestR70SlowReader: who does not read an answer does not hold its handler.
func TestR70SlowReader(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	s := httptest.NewServer(gate.Pace{Body: time.Minute, Write: 200 * time.Millisecond}.Keep(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := []byte(strings.Repeat("x", 1<<20))
		for range 1000 {
			if _, err := w.Write(piece); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	})))
	t.Cleanup(s.Close)
	fmt.Fprint(dial(t, s), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-failed:
		if err == nil {
			t.Error("1 GB was written to a client that reads nothing")
		}
	case <-time.After(20 * time.Second):
		t.Error("the handler hangs")
	}
}

// TestPaceOfAStream: a stream that is quiet for longer than a piece may take goes on.
func TestPaceOfAStream(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(gate.Pace{Body: 100 * time.Millisecond, Write: 100 * time.Millisecond}.Keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for n := range 3 {
			fmt.Fprintf(w, "%d", n)
			w.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	})))
	t.Cleanup(s.Close)
	resp, err := http.Post(s.URL, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "012" {
		t.Errorf("%q, %v", got, err)
	}
}
