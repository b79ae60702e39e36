package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// home is the world of one vault: a home folder, a config, a data folder.
// Several grantry processes may live in it, one after another or together.
type home struct {
	Dir    string // everything that grantry can write lies under it
	Config string // the config file, or "" for the defaults
	Extra  []string
}

// newHome makes a fresh one; yaml is its config, "" means none. Whatever
// grantry prints or writes here is scanned for data races at the end.
func newHome(t *testing.T, yaml string, env ...string) *home {
	t.Helper()
	h := &home{Dir: folder(t), Extra: env}
	for _, dir := range []string{"config", "data", "state", "cache", "run", "cwd"} {
		if err := os.Mkdir(filepath.Join(h.Dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if yaml != "" {
		h.Config = filepath.Join(h.Dir, "grantry.yaml")
		writeFile(t, h.Config, yaml)
	}
	return h
}

// folder is a temporary one of programs that may write for a moment after their
// client has gone: it is removed when they let it be.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "grantry-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, patience, "an end of the programs in "+dir, func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// env is the whole environment of grantry in this home: no GRANTRY_ variable
// and nothing of the machine's own folders.
func (h *home) env() []string {
	at := func(name string) string { return filepath.Join(h.Dir, name) }
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.Dir, "TMPDIR=" + os.TempDir(),
		"XDG_CONFIG_HOME=" + at("config"), "XDG_DATA_HOME=" + at("data"), "XDG_STATE_HOME=" + at("state"),
		"XDG_CACHE_HOME=" + at("cache"), "XDG_RUNTIME_DIR=" + at("run"), "GORACE=halt_on_error=1",
	}, h.Extra...)
}

// data is the data folder that grantry chooses by itself.
func (h *home) data() string { return filepath.Join(h.Dir, "data", "grantry") }

func (h *home) args(args []string) []string {
	if h.Config == "" {
		return args
	}
	return append(args[:1:1], append([]string{"--config", h.Config}, args[1:]...)...)
}

// start runs `grantry args…` in this home and fails the test on a data race.
func (h *home) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := start(t, spec{Path: binary(t), Args: h.args(args), Env: h.env(), Dir: filepath.Join(h.Dir, "cwd")})
	t.Cleanup(func() {
		if strings.Contains(p.errors(), "WARNING: DATA RACE") {
			t.Errorf("grantry has a data race:\n%s", p.errors())
		}
	})
	return p
}

// run answers what a command printed and its exit code.
func (h *home) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := h.start(t, args...)
	p.stdin.Close()
	code = p.wait(t, patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.stdout, "\n"), strings.Join(p.stderr, "\n"), code
}

// server is a running `grantry serve`.
type server struct {
	*process
	MCP         string // the MCP URL, as printed
	Connections string // the connections page, as printed
	Base        string // {public_url}
}

// serve starts `grantry serve args…` and waits until it says that it is ready.
func (h *home) serve(t *testing.T, args ...string) *server {
	t.Helper()
	p := h.start(t, append([]string{"serve"}, args...)...)
	s := &server{process: p}
	s.MCP = p.after(t, "MCP:")
	s.Connections = p.after(t, "Connections:")
	s.Base = strings.TrimSuffix(s.MCP, "/mcp")
	return s
}

// after waits for a stdout line that starts with prefix and answers the first
// word behind it.
func (p *process) after(t *testing.T, prefix string) string {
	t.Helper()
	line, _ := p.line(t, 0, patience, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), prefix) })
	words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), prefix))
	if len(words) == 0 {
		t.Fatalf("nothing follows %q in %q", prefix, line)
	}
	return words[0]
}

// eventually calls check until it answers true, at most for d.
func eventually(t *testing.T, d time.Duration, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("%s did not happen within %s", what, d)
}
