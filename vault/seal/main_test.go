package seal_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestMain lets a test start this binary again as another process: umask and
// GODEBUG belong to a process.
func TestMain(m *testing.M) {
	child, ok := children()[os.Getenv("SEAL_TEST_CHILD")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := child(os.Getenv("SEAL_TEST_ARG")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runChild starts child name with arg and more environment, and answers its output.
func runChild(t *testing.T, name, arg string, env ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SEAL_TEST_CHILD="+name, "SEAL_TEST_ARG="+arg)
	cmd.Env = append(cmd.Env, env...)
	return cmd.CombinedOutput()
}
