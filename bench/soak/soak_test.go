package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	_ "github.com/grantry/grantry/vault/sqlstore" // the driver that storetest asks for
	"github.com/grantry/grantry/vault/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// A short soak on each kind of store: it ends, it has killed and refreshed, and explains all that it lost.
func TestSoak(t *testing.T) {
	t.Parallel()
	program := build(t)
	for name, store := range map[string]func(t *testing.T) string{
		"sqlite": func(t *testing.T) string { return t.TempDir() }, "postgres": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := soak(t, program, "-grants", "20", "-for", "5s", "-life", "3s", "-kill-every", "400ms", "-rate", "200", "-lose", "0", "-store", store(t))
			for what, least := range map[string]int{"exchanges": 100, "refreshes": 20, "kills": 1} {
				if n := last(t, out, what); n < least {
					t.Errorf("%d %s, want %d at least:\n%s", n, what, least, out)
				}
			}
		})
	}
}

// What makes no sense is refused in words, before anything is started.
func TestFlags(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, args := range [][]string{{"-grants", "0"}, {"-processes", "0"}, {"sometimes"}, {"-nothing"}} {
		if out, err := exec.Command(program, args...).CombinedOutput(); err == nil || len(out) == 0 {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "soak")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

func soak(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("the soak: %v\n%s", err, out)
	}
	return string(out)
}

// last is the last figure before a word.
func last(t *testing.T, out, what string) int {
	t.Helper()
	found := regexp.MustCompile(`(\d+) `+what).FindAllStringSubmatch(out, -1)
	if len(found) == 0 {
		t.Fatalf("no %s in:\n%s", what, out)
	}
	n, err := strconv.Atoi(found[len(found)-1][1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
