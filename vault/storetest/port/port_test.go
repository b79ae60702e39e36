package port_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/grantry/grantry/vault/storetest/port"
)

// asChild makes the test's program print what another process gets.
const asChild = "GRANTRY_TEST_PORTS"

// TestNobodyGetsAPortTwice: neither here nor in another process, and one can listen at both.
func TestNobodyGetsAPortTwice(t *testing.T) {
	if os.Getenv(asChild) != "" {
		for range 200 {
			t.Log("port", port.Get(t).Port)
		}
		return
	}
	got := map[string]bool{}
	for range 500 {
		h := port.Get(t)
		got[h.Port] = true
	}
	if len(got) != 500 {
		t.Errorf("%d ports were held for 500 tests", len(got))
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNobodyGetsAPortTwice$", "-test.v")
	c.Env = append(os.Environ(), asChild+"=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs := strings.Split(string(out), "port ")[1:]
	if len(theirs) != 200 {
		t.Errorf("the other process got %d ports: %s", len(theirs), out)
	}
	for _, text := range theirs {
		if p, _, _ := strings.Cut(text, "\n"); got[p] {
			t.Errorf("the other process got %s, which is held here", p)
		}
	}
}

// TestHeldPortsAreFree: for whoever they were held for, and not where somebody listens.
func TestHeldPortsAreFree(t *testing.T) {
	t.Parallel()
	h := port.Get(t)
	n, err := strconv.Atoi(h.Port)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{h.Addr(), net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1))} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("a held port cannot be used: %v", err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
