package house_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// program builds grantry once a run, as `make build` does, into a folder that
// goes with the run.
var program = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "grantry")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	build := exec.Command("go", "build", "-o", name, "./cmd/grantry")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./cmd/grantry: %w\n%s", err, out)
	}
	return name, nil
})

var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "grantry-house-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := scratch(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// command is grantry with an empty home: no configuration, no vault.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.WaitDelay = home, 10*time.Second
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "USERPROFILE=" + home, "APPDATA=" + home, "LOCALAPPDATA=" + home,
		"SYSTEMROOT=" + os.Getenv("SYSTEMROOT"), "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_RUNTIME_DIR=" + home,
	}
	return c
}

// help answers what `grantry args… --help` prints; a command that does not exist fails the test.
func help(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, append(args, "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("grantry %s --help: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// listed is a tool as a client sees it.
type listed struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Annotations struct {
		ReadOnly    bool `json:"readOnlyHint"`
		Destructive bool `json:"destructiveHint"`
	} `json:"annotations"`
}

// kind is the word for a tool's annotations.
func (l listed) kind() string {
	switch {
	case l.Annotations.ReadOnly:
		return "read"
	case l.Annotations.Destructive:
		return "destroy"
	}
	return "write"
}

// listTools asks a fresh `grantry stdio` for its tools.
func listTools(t *testing.T) []listed {
	t.Helper()
	c := command(t, "stdio", "--no-browser", "--listen", "127.0.0.1:0")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	c.Stderr = &logs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		c.Wait() //nolint:errcheck // what it said has been read
	}()
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"house","version":"1"}}}`)
	fmt.Fprintln(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	fmt.Fprintln(in, `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var answer struct {
			ID     int `json:"id"`
			Result struct {
				Tools []listed `json:"tools"`
			} `json:"result"`
		}
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatalf("grantry stdio printed %q: %v", lines.Text(), err)
		}
		if answer.ID == 2 {
			return answer.Result.Tools
		}
	}
	t.Fatalf("grantry stdio ended without an answer to tools/list:\n%s", logs.String())
	return nil
}
