//go:build failpoints

package vault

import (
	"os"
	"strings"
)

// hit ends the process by SIGKILL at the step that GRANTRY_FAILPOINT names, and
// leaves the file that GRANTRY_FAILPOINT_MARK names behind, so that a sweep
// knows that the step was reached. Only builds with the tag failpoints have it.
func hit(step string) {
	if !strings.EqualFold(os.Getenv("GRANTRY_FAILPOINT"), step) {
		return
	}
	if mark := os.Getenv("GRANTRY_FAILPOINT_MARK"); mark != "" {
		_ = os.WriteFile(mark, []byte(step), 0o600)
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		_ = self.Kill()
	}
	select {} // until the signal arrives
}
