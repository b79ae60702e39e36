//go:build unix

package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Freeze stops the process where it is (SIGSTOP), and waits until it stands still:
// a thread may go on for a moment.
func (p *Process) Freeze() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/self/task"); err != nil { // another Unix
		time.Sleep(200 * time.Millisecond)
		return nil
	}
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if p.still() {
			return nil
		}
	}
	return fmt.Errorf("%s does not stop", p.Instance)
}

// still says whether all threads of the process are stopped, or gone.
func (p *Process) still() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	for _, t := range threads {
		stat, _ := os.ReadFile(t)
		_, state, found := bytes.Cut(stat, []byte(") "))
		if found && !bytes.ContainsAny(state[:1], "TtZX") {
			return false
		}
	}
	return true
}

// Thaw lets a frozen process go on (SIGCONT).
func (p *Process) Thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
