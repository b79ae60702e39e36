//go:build unix

package e2e_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// builtPlain is grantry as people have it, without the race detector, whose
// bookkeeping would count as memory here.
var builtPlain = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "grantry-plain")
	build := exec.Command("go", "build", "-o", path, "./cmd/grantry")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./cmd/grantry: %w\n%s", err, out)
	}
	return path, nil
})

// resident is how much memory a process holds, in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// peak watches how much memory a process holds until stop, and answers the most.
func peak(t *testing.T, pid int) (stop func() int64) {
	t.Helper()
	var most atomic.Int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			most.Store(max(most.Load(), resident(t, pid)))
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); <-ended; return most.Load() }
}

// floods are answers of a vendor without an end, or as good as.
var floods = map[string]http.HandlerFunc{
	"10 GiB": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(10<<30))
		for piece := []byte(strings.Repeat("[", 1<<20)); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	},
	"a bomb": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for zeros := []byte(strings.Repeat("0", 1<<20)); ; {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
	},
	"a stream without end": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "data: {}\n\n"+strings.Repeat(": nothing\n", 1000)); err != nil {
				return
			}
		}
	},
	"a byte a second": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	},
}

// TestR68Floods: whatever a vendor's API sends, a tool ends with an error that
// says so, and the process grows by less than 64 MiB.
func TestR68Floods(t *testing.T) {
	t.Parallel()
	path, err := builtPlain()
	if err != nil {
		t.Fatal(err)
	}
	v := startVendors(t)
	h := newHome(t, v.yaml(""), v.secrets()...)
	p := start(t, spec{Path: path, Args: h.args([]string{"stdio", "--no-browser", "--agent", "flooded"}), Env: h.env(), Dir: h.Dir})
	p.exchange(t, initializeRequest())
	events := func(id int) map[string]any { return legacyCall(id, "calendar_list_events", map[string]any{}) }
	newBrowser(t).consent(p.exchange(t, events(1)).link(t), "alice")
	wantEvents(t, p.exchange(t, events(2)))
	before, stop := resident(t, p.cmd.Process.Pid), peak(t, p.cmd.Process.Pid)
	id := 2
	for name, flood := range floods {
		v.google.inject(fault{Path: "/calendar/", Flood: flood})
		id++
		started := time.Now()
		p.write(t, events(id))
		if a := p.reply(t, id, 3*patience); !a.IsError || a.Text == "" || strings.Contains(a.Text, "[[") {
			t.Errorf("%s: the call answered %s", name, a.show())
		} else {
			t.Logf("%s: %s (%s)", name, a.Text, time.Since(started).Round(time.Millisecond))
		}
	}
	if grown := stop() - before; grown > 64<<20 {
		t.Errorf("it grew by %d MiB", grown>>20)
	} else {
		t.Logf("it grew by %d MiB", grown>>20)
	}
	wantEvents(t, p.exchange(t, events(100)))
}

// idle are how many connections do nothing: ten thousand, where a process may have so many files.
func idle(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(min(10_000, limit.Max-min(limit.Max/2, 1000)))
}

// TestR70TenThousandIdle: with ten thousand connections that do nothing, calls
// pass as before, and the connections end by themselves.
func TestR70TenThousandIdle(t *testing.T) {
	t.Parallel()
	path, err := builtPlain()
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, "")
	s := &sandbox{home: h, server: &server{process: start(t, spec{Path: path, Args: []string{"serve", "--sandbox", "--listen", "127.0.0.1:0"}, Env: h.env(), Dir: h.Dir})}}
	s.MCP = s.after(t, "MCP:")
	s.Base = strings.TrimSuffix(s.MCP, "/mcp")
	s.find(t)
	r := newRaw(t, s.MCP, s.token(t, "alice", "busy-agent"))
	before := resident(t, s.cmd.Process.Pid)
	host := strings.TrimPrefix(s.Base, "http://")
	n := idle(t)
	conns := make(chan net.Conn, n)
	var dialling sync.WaitGroup
	for range 50 {
		dialling.Go(func() {
			for range n / 50 {
				c, err := net.Dial("tcp", host)
				if err != nil {
					t.Errorf("dialling: %v", err)
					return
				}
				conns <- c
				fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", host)
				if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("a connection was not served: %v", err)
					return
				}
			}
		})
	}
	dialling.Wait()
	close(conns)
	t.Cleanup(func() {
		for c := range conns {
			_ = c.Close()
		}
	})
	for range 20 {
		started := time.Now()
		if w := r.modern(t, "connections_list", map[string]any{}, nil); w.Status != http.StatusOK {
			t.Fatalf("a call answered %d", w.Status)
		}
		within(t, started, 5*time.Second, "a call beside idle connections")
	}
	t.Logf("%d idle connections take %d MiB", len(conns), (resident(t, s.cmd.Process.Pid)-before)>>20)
	last := <-conns
	_ = last.SetReadDeadline(time.Now().Add(3 * time.Minute))
	if _, err := io.Copy(io.Discard, last); err != nil {
		t.Errorf("an idle connection does not end: %v", err)
	}
}
