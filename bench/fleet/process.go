package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// ErrGone says that the process ended before it answered.
var ErrGone = errors.New("the process is gone")

// closeLimit is how long a process may take to end by itself.
const closeLimit = time.Minute

// Process is a started worker. It is safe for concurrent use.
type Process struct {
	Instance string

	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended and was waited for

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan Result // nil once it has ended
}

// Do has the process do a task and answers its result, or ErrGone.
func (p *Process) Do(ctx context.Context, t Task) (Result, error) {
	answer, err := p.send(&t)
	if err != nil {
		return Result{}, err
	}
	select {
	case r, ok := <-answer:
		if !ok {
			return Result{}, ErrGone
		}
		return r, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

func (p *Process) send(t *Task) (<-chan Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		return nil, ErrGone
	}
	p.next++
	t.ID = p.next
	line, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding a task: %w", err)
	}
	answer := make(chan Result, 1)
	p.waiting[t.ID] = answer
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		delete(p.waiting, t.ID)
		return nil, ErrGone
	}
	return answer, nil
}

// listen hands results to who waits for them, until the process ends.
func (p *Process) listen(out io.Reader, ended func()) {
	lines := json.NewDecoder(bufio.NewReader(out))
	for {
		var r Result
		if lines.Decode(&r) != nil {
			break
		}
		p.mu.Lock()
		if answer := p.waiting[r.ID]; answer != nil {
			answer <- r
			delete(p.waiting, r.ID)
		}
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // most end by SIGKILL
	ended()
	p.mu.Lock()
	for _, answer := range p.waiting {
		close(answer)
	}
	p.waiting = nil
	p.mu.Unlock()
	close(p.done)
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process by SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.done
}

// Close lets the process finish what it does and waits for its end. Its error
// says that it did not end well.
func (p *Process) Close() error {
	_ = p.in.Close()
	select {
	case <-p.done:
	case <-time.After(closeLimit):
		p.Kill()
		return fmt.Errorf("%s did not end within %s", p.Instance, closeLimit)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with code %d", p.Instance, code)
	}
	return nil
}

// start runs the program with its job, and waits until its vault is open.
func start(ctx context.Context, program []string, env []string, log io.Writer, job Job, ended func()) (*Process, error) {
	p := &Process{Instance: job.Instance, done: make(chan struct{}), waiting: map[int64]chan Result{}}
	p.cmd = exec.Command(program[0], program[1:]...) // not bound to ctx: who starts it ends it
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	line, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("encoding a job: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	ready := make(chan Result, 1)
	p.waiting[0] = ready
	go p.listen(out, ended)
	_, _ = p.in.Write(append(line, '\n')) // one that has ended answers by ending
	select {
	case _, ok := <-ready:
		if ok {
			return p, nil
		}
		return nil, fmt.Errorf("%s: %w before its vault was open", job.Instance, ErrGone)
	case <-ctx.Done():
		p.Kill()
		return nil, ctx.Err()
	}
}
