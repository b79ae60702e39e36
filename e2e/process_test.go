package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a helper waits for something that should come at once,
// with the race detector on and two cores shared by everything.
const patience = 40 * time.Second

// spec says what to run. Env is the whole environment.
type spec struct {
	Path string
	Args []string
	Env  []string
	Dir  string
}

// process is a program that a test started; it ends with the test.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{}

	mu      sync.Mutex
	stdout  []string
	stderr  []string
	changed chan struct{}
	writing sync.Mutex
}

// start runs spec and collects what it prints. At the end of the test the
// program gets SIGTERM, ten seconds, then SIGKILL; by its pid only.
func start(t *testing.T, s spec) *process {
	t.Helper()
	p := &process{exited: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Env, p.cmd.Dir = s.Env, s.Dir
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	stderr, err3 := p.cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, p.cmd.Start()); err != nil {
		t.Fatalf("starting %s: %v", s.Path, err)
	}
	p.stdin = stdin
	var readers sync.WaitGroup
	readers.Go(func() { p.collect(stdout, &p.stdout) })
	readers.Go(func() { p.collect(stderr, &p.stderr) })
	go func() {
		readers.Wait()
		p.cmd.Wait() //nolint:errcheck // the exit code is read from ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *process) collect(r io.Reader, into *[]string) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.mu.Lock()
			*into = append(*into, strings.TrimRight(line, "\r\n"))
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// stop ends the program the polite way and answers its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	p.stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone already
	return p.wait(t, 15*time.Second)
}

// kill ends the program as a power cut would.
func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may be gone already
	<-p.exited
}

// wait answers the exit code; a program that outlives d is killed and is a
// failure of the test.
func (p *process) wait(t *testing.T, d time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(d):
		p.cmd.Process.Signal(syscall.SIGQUIT) //nolint:errcheck // a Go program then says where it hangs
		select {
		case <-p.exited:
		case <-time.After(3 * time.Second):
			p.kill()
		}
		t.Errorf("%s did not end within %s and was killed\n%s", p.cmd.Path, d, p.output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// line waits for the first line of stdout, from number from on, that match
// accepts, and answers it with the number after it.
func (p *process) line(t *testing.T, from int, d time.Duration, match func(string) bool) (string, int) {
	t.Helper()
	deadline := time.After(d)
	for {
		p.mu.Lock()
		changed, lines := p.changed, p.stdout
		p.mu.Unlock()
		for ; from < len(lines); from++ {
			if match(lines[from]) {
				return lines[from], from + 1
			}
		}
		select {
		case <-changed:
		case <-p.exited:
			t.Fatalf("%s ended with code %d while the test waited for a line\n%s", p.cmd.Path, p.cmd.ProcessState.ExitCode(), p.output())
		case <-deadline:
			t.Fatalf("%s printed no such line within %s\n%s", p.cmd.Path, d, p.output())
		}
	}
}

// write sends one JSON line to the program.
func (p *process) write(t *testing.T, value any) {
	t.Helper()
	p.writing.Lock()
	defer p.writing.Unlock()
	if _, err := io.WriteString(p.stdin, marshal(t, value)+"\n"); err != nil {
		t.Fatalf("writing to %s: %v\n%s", p.cmd.Path, err, p.output())
	}
}

// output is everything that the program has printed, for messages and for
// the canary scan.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "stdout:\n" + strings.Join(p.stdout, "\n") + "\nstderr:\n" + strings.Join(p.stderr, "\n")
}

// errors is what the program has printed to stderr.
func (p *process) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.stderr, "\n")
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	if raw, ok := value.(string); ok {
		return raw
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func unmarshal(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("reading JSON: %v\n%s", err, text)
	}
}

// writeFile writes a file that only its owner can read.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
