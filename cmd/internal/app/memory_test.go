package app_test

import (
	"runtime/debug"
	"testing"

	"github.com/grantry/grantry/cmd/internal/app"
)

// What the vault may remember follows the limit that the operator sets, and the machine otherwise.
func TestRememberBytes(t *testing.T) {
	if got := app.RememberBytes(); got < 1<<20 || got > 1<<40 {
		t.Errorf("a share of this machine's memory is %d bytes", got)
	}
	before := debug.SetMemoryLimit(64 << 20)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if got := app.RememberBytes(); got != 4<<20 {
		t.Errorf("with GOMEMLIMIT=64MiB it is %d bytes", got)
	}
}
