package config_test

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grantry/grantry/cmd/internal/app/config"
)

// defaults are those that the design names.
func defaults() *config.Config {
	return &config.Config{
		Listen: "127.0.0.1:8787", AdminListen: "127.0.0.1:8799",
		DataDir: "/home/ann/.local/share/grantry",
		Identity: config.Identity{
			SubjectClaims: []string{"sub"}, AgentClaims: []string{"act.sub", "client_id", "azp", "appid", "cid"},
			MaxAge: 8 * time.Hour, Registration: true,
		},
		Clients: map[string]config.Client{}, Connections: map[string]config.Connection{}, Workloads: map[string]config.Workload{},
		Tools: config.Tools{
			Groups: []string{"calendar", "documents", "mail", "crm", "chat", "issues"},
			Writes: "ask", Policy: map[string]string{},
		},
		Access: config.Access{DefaultTTL: 720 * time.Hour},
		Limits: config.Limits{OpenTickets: 20, TicketsPerHour: 60, CallsPerMinute: 600, WritesPerMinute: 30},
		Reap:   config.Reap{Revoked: 720 * time.Hour, Dead: 2160 * time.Hour},
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "{}", "connections:\nidentity:\nworkloads: {}\n"} {
		got, err := config.Parse("", []byte(text), options("/home/ann", nil))
		must(t, err)
		want := defaults()
		key := "file:/home/ann/.config/grantry/key"
		if runtime.GOOS == "darwin" {
			want.DataDir = "/home/ann/Library/Application Support/grantry"
			key = "file:" + want.DataDir + "/key"
		}
		if got.Keys.Source.String() != key || got.Keys.Source.Scheme() != "file" || "file:"+got.Keys.Source.Target() != key {
			t.Errorf("%q: key source %s, want %s", text, got.Keys.Source, key)
		}
		want.Keys = got.Keys
		if diff := cmp.Diff(want, got, references()); diff != "" {
			t.Errorf("%q: defaults (-want +got):\n%s", text, diff)
		}
	}
}

func TestFoldersFromTheEnvironment(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, config, data, wantKey, wantData string }{
		{"set", "/x/config", "/x/data", "/x/config/grantry/key", "/x/data/grantry"},
		{"relative is ignored", "config", "data", "/home/ann/.config/grantry/key", "/home/ann/.local/share/grantry"},
	}
	if runtime.GOOS == "darwin" {
		tests[0].wantKey = "/home/ann/Library/Application Support/grantry/key"
		tests[1].wantKey, tests[1].wantData = tests[0].wantKey, "/home/ann/Library/Application Support/grantry"
	}
	for _, tc := range tests {
		c, err := config.Parse("", nil, options("/home/ann", map[string]string{"XDG_CONFIG_HOME": tc.config, "XDG_DATA_HOME": tc.data}))
		must(t, err)
		if c.DataDir != tc.wantData || c.Keys.Source.Target() != tc.wantKey {
			t.Errorf("%s: %s and %s, want %s and %s", tc.name, c.DataDir, c.Keys.Source, tc.wantData, tc.wantKey)
		}
	}
}

func TestFlagsWin(t *testing.T) {
	t.Parallel()
	opts := options("/home/ann", nil)
	opts.Listen, opts.DataDir = "127.0.0.1:0", "here"
	c, err := config.Parse("grantry.yaml", []byte("listen: 127.0.0.1:1\ndata_dir: /there\n"), opts)
	must(t, err)
	here, err := filepath.Abs("here")
	must(t, err)
	if c.Listen != "127.0.0.1:0" || c.DataDir != here {
		t.Errorf("listen %s, data_dir %s", c.Listen, c.DataDir)
	}
}

// TestSandbox: nothing real is used, and what was left out is named.
func TestSandbox(t *testing.T) {
	t.Parallel()
	opts := options("/home/ann", nil)
	opts.Sandbox = true
	got, err := config.Parse("/etc/grantry/grantry.yaml", []byte(designWithout(t, "upstream", "public_url", "writes")), opts)
	must(t, err)
	want := defaults()
	want.File, want.Sandbox = "/etc/grantry/grantry.yaml", true
	want.TLS = got.TLS
	want.DataDir = "/home/ann/.local/share/grantry/sandbox"
	want.Ignored = []string{"clients", "connections", "identity", "keys", "workloads"}
	want.Keys = got.Keys
	if diff := cmp.Diff(want, got, references()); diff != "" {
		t.Errorf("sandbox (-want +got):\n%s", diff)
	}
	if s := got.Keys.Source.String(); s != "file:/home/ann/.local/share/grantry/sandbox/key" {
		t.Errorf("key source %s", s)
	}
}

func TestSandboxKeepsWrites(t *testing.T) {
	t.Parallel()
	opts := options("/home/ann", nil)
	opts.Sandbox = true
	c, err := config.Parse("grantry.yaml", []byte("tools: {writes: deny}"), opts)
	must(t, err)
	if c.Tools.Writes != "deny" {
		t.Errorf("writes: %s, want what the file says", c.Tools.Writes)
	}
	if len(c.Ignored) > 0 {
		t.Errorf("ignored: %v", c.Ignored)
	}
}
