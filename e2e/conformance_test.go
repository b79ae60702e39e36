package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The official conformance suite of MCP, twice: a build that has the tools which
// the suite asks for, on our whole chain but the bearer, with all that either
// revision requires; and the product itself, with what applies to any server.

// requirements are how many scenarios a revision requires.
var requirements = map[string]int{"2025-11-25": 30, "2026-07-28": 37}

// builtConformance is grantry with the tag conformance, built once a run.
var builtConformance = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "grantry-conformance")
	build := exec.Command("go", "build", "-race", "-tags", "conformance", "-o", path, "./cmd/grantry")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./cmd/grantry for the conformance suite: %w\n%s", err, out)
	}
	return path, nil
})

// suite runs the conformance suite, and answers what it says and its exit code.
func suite(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	path, err := node()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := filepath.Abs(filepath.Join("counterparties", "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{entry, "server"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1"}
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("running the suite: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestConformance is both revisions in full, ten times in a row, with no list of
// expected failures: a notification that gets lost now and then is a failure.
func TestConformance(t *testing.T) {
	t.Parallel()
	binary, err := builtConformance()
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, "")
	p := start(t, spec{Path: binary, Args: []string{"conformance", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(h.Dir, "conformance")}, Env: h.env(), Dir: h.Dir})
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(line, "MCP: ") })
	runs := 10
	if testing.Short() {
		runs = 1
	}
	for revision, want := range requirements {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			for n := range runs {
				out, code := suite(t, "--url", strings.TrimPrefix(line, "MCP: "), "--requirements", revision)
				if passed, failed := scored(out); code != 0 || passed != want || len(failed) > 0 {
					t.Fatalf("run %d: exit code %d, %d of %d required scenarios pass, these do not: %v\n%s", n+1, code, passed, want, failed, out)
				}
			}
		})
	}
	t.Cleanup(func() {
		if log := p.errors(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
			t.Error(log)
		}
	})
}

var (
	summaryLine  = regexp.MustCompile(`(?m)^([✓✗]) ([a-z0-9-]+): `)
	unscoredLine = regexp.MustCompile(`(?m)^  [✓✗] ([a-z0-9-]+) \(`)
)

// scored reads of the suite's summary how many required scenarios pass, and which do not.
func scored(out string) (passed int, failed []string) {
	unscored := map[string]bool{}
	for _, m := range unscoredLine.FindAllStringSubmatch(out, -1) {
		unscored[m[1]] = true
	}
	for _, m := range summaryLine.FindAllStringSubmatch(out, -1) {
		switch {
		case unscored[m[2]]:
		case m[1] == "✓":
			passed++
		default:
			failed = append(failed, m[2])
		}
	}
	return passed, failed
}

// TestConformanceOfTheProduct runs what applies to any server against the
// product, through a proxy that adds a token. A check that asks for a tool of the
// suite's own says that it cannot be made, and is the only kind that may fail.
func TestConformanceOfTheProduct(t *testing.T) {
	t.Parallel()
	s := startSandbox(t)
	at := injecting(t, s, s.token(t, "alice", "conformance"))
	for revision, scenarios := range map[string][]string{
		"2025-11-25": {"server-initialize", "ping", "tools-list", "server-sse-multiple-streams", "dns-rebinding-protection", "server-session-lifecycle"},
		"2026-07-28": {
			"tools-list", "server-sse-multiple-streams", "dns-rebinding-protection", "http-header-validation", "server-stateless",
			"sep-2164-resource-not-found", "input-required-result-unsupported-methods",
		},
	} {
		for _, scenario := range scenarios {
			t.Run(revision+" "+scenario, func(t *testing.T) {
				dir := t.TempDir()
				out, _ := suite(t, "--url", at+"/mcp", "--scenario", scenario, "--spec-version", revision, "-o", dir)
				passed := 0
				for _, c := range checks(t, dir) {
					switch {
					case c.Status == "SUCCESS":
						passed++
					case c.Status == "FAILURE" && !c.Details.Untestable:
						t.Errorf("%s: %s", c.ID, c.ErrorMessage)
					}
				}
				if passed == 0 {
					t.Errorf("no check passes\n%s", out)
				}
			})
		}
	}
}

// injecting is a proxy that adds a token, since the suite cannot send one. It keeps
// Host and Origin, but for its own port, which stands for the product's.
func injecting(t *testing.T, s *sandbox, token string) string {
	t.Helper()
	target, err := url.Parse(s.Base)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: nil} // its own: servers of other tests close the idle connections of the default one
	t.Cleanup(transport.CloseIdleConnections)
	proxy := httptest.NewUnstartedServer(nil)
	proxy.Config.Handler = &httputil.ReverseProxy{
		FlushInterval: -1, Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			_, port, _ := net.SplitHostPort(proxy.Listener.Addr().String())
			own := func(s string) string { return strings.Replace(s, ":"+port, ":"+target.Port(), 1) }
			r.SetURL(target)
			r.Out.Host = own(r.In.Host)
			if origin := r.In.Header.Get("Origin"); origin != "" {
				r.Out.Header.Set("Origin", own(origin))
			}
			r.Out.Header.Set("Authorization", "Bearer "+token)
			whole(r)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	proxy.Start()
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// whole reads the body of a request before it is passed on. httputil.ReverseProxy closes what it
// reads from as soon as the answer begins; where its transport has not yet asked for more than the
// last byte by then, it breaks the answer off, and the suite waits for the rest until its time is over.
func whole(r *httputil.ProxyRequest) {
	body, _ := io.ReadAll(r.In.Body)
	if len(body) > 0 {
		r.Out.Body = io.NopCloser(bytes.NewReader(body))
	}
}

type check struct {
	ID, Status, ErrorMessage string
	Details                  struct {
		Untestable bool `json:"untestable"`
	}
}

// checks reads what the suite has written to dir.
func checks(t *testing.T, dir string) (all []check) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite has left no checks in %s (%v)", dir, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var some []check
		if err := json.Unmarshal(raw, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// TestConformanceBuildIsAlone: the command is not in the product, and asks nobody
// who they are on loopback alone.
func TestConformanceBuildIsAlone(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	for _, c := range []struct {
		path func() (string, error)
		args []string
		says string
	}{
		{built, []string{"conformance"}, "unexpected argument conformance"},
		{builtConformance, []string{"conformance", "--listen", "0.0.0.0:0"}, "loopback"},
	} {
		path, err := c.path()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, spec{Path: path, Args: c.args, Env: h.env(), Dir: h.Dir})
		if code := p.wait(t, 10*time.Second); code != 2 || !strings.Contains(p.errors(), c.says) {
			t.Errorf("%v: exit code %d, %s", c.args, code, p.errors())
		}
	}
}
