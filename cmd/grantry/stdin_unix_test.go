//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// early is standard output as a library may have kept it before main began.
var early = os.Stdout

const claimingVariable = "GRANTRY_TEST_CLAIMS_STDOUT"

// TestR45StdoutIsClaimed: whatever prints, through os.Stdout, a copy of it or the
// descriptor, nothing but what is written to the claimed file is on standard output.
func TestR45StdoutIsClaimed(t *testing.T) {
	if os.Getenv(claimingVariable) != "" {
		out, err := claimStdout()
		if err != nil {
			fmt.Println("failed:", err)
		}
		fmt.Println("a library prints")
		fmt.Fprintln(early, "and one that kept the file")
		_, _ = unix.Write(1, []byte("and one that writes to the descriptor\n"))
		fmt.Fprintln(out, "MCP")
		os.Exit(0)
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestR45StdoutIsClaimed$")
	cmd.Env = append(os.Environ(), claimingVariable+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if stdout.String() != "MCP\n" {
		t.Errorf("stdout holds %q", &stdout)
	}
	for _, want := range []string{"a library prints", "kept the file", "to the descriptor"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q: %s", want, &stderr)
		}
	}
}

// TestOddInput: what is not a local program's pipe is named in the log.
func TestOddInput(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err1 := os.Open(os.DevNull)
	regular, err2 := os.Create(filepath.Join(t.TempDir(), "in"))
	pair, err3 := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	ln, err4 := net.Listen("tcp", "127.0.0.1:0")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	near, other := os.NewFile(uintptr(pair[0]), "near"), os.NewFile(uintptr(pair[1]), "other")
	t.Cleanup(func() {
		for _, c := range []interface{ Close() error }{read, write, null, regular, near, other, far, conn, ln} {
			_ = c.Close()
		}
	})
	here := func(string) string { return "" }
	ssh := func(string) string { return "203.0.113.9 50000 192.0.2.1 22" }
	for _, c := range []struct {
		name string
		got  string
		want string // "" = nothing to say
	}{
		{"a pipe", oddInput(read, here), ""},
		{"Node's pipe", oddInput(near, here), ""},
		{"a test's reader", oddInput(strings.NewReader(""), here), ""},
		{"a device", oddInput(null, here), "device"},
		{"a file", oddInput(regular, here), "file"},
		{"a connection", oddInput(far, here), "network connection"},
		{"SSH", oddInput(read, ssh), "SSH"},
	} {
		if (c.want == "") != (c.got == "") || !strings.Contains(c.got, c.want) {
			t.Errorf("%s: %q", c.name, c.got)
		}
	}
}
