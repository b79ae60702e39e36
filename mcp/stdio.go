package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

const (
	stdioSession  = "stdio"
	stdioWorkers  = 100              // tools that run at once
	stdioInFlight = 1000             // requests that are held at once; then no more is read
	stdioDrain    = 10 * time.Second // for calls in flight after the end of the input
)

// ServeStdio serves one client over in and out, a message a line, until in
// ends or ctx does. Then nothing waits for a person any more, calls in flight
// have 10 seconds to answer, and it returns nil, or the error of reading. Nothing but MCP
// messages is written to out (R45). Refreshes that are under way are the vault's to finish.
//
// This is a transport of our own on mcp-go's HandleMessage: mcp-go's shares one session
// between all servers of a process, cancels calls in flight at the end of the
// input, has five workers, and shows a panic's value to the client.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	t := newStdio(s, out)
	defer s.streams.hold(stdioSession, t)()
	if err := s.mcp.RegisterSession(ctx, t); err != nil {
		return fmt.Errorf("serving stdio: %w", err)
	}
	defer s.mcp.UnregisterSession(context.WithoutCancel(ctx), stdioSession)
	go t.forward()
	defer t.close()

	lines := make(chan line)
	done := make(chan struct{})
	defer close(done)
	go readLines(in, lines, done)
	err := t.serve(ctx, lines)
	s.stop()
	t.drain()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading messages: %w", err)
	}
	return nil
}

// stdio is the one session of a process's standard input and output.
type stdio struct {
	s       *Server
	out     io.Writer
	writing sync.Mutex
	notes   chan mcpgo.JSONRPCNotification
	closing chan struct{}
	noted   chan struct{} // closed when forward has returned
	ready   atomic.Bool

	ctx     context.Context // of all requests
	cancel  context.CancelFunc
	flying  sync.WaitGroup
	held    chan struct{}
	workers chan struct{}
	mu      sync.Mutex
	calls   map[string]bool // requests in flight by id: true = the client has given it up
	asking  questions
}

func newStdio(s *Server, out io.Writer) *stdio {
	t := &stdio{
		s: s, out: out,
		notes:   make(chan mcpgo.JSONRPCNotification, 100),
		closing: make(chan struct{}), noted: make(chan struct{}),
		held: make(chan struct{}, stdioInFlight), workers: make(chan struct{}, stdioWorkers),
		calls: map[string]bool{}, asking: questions{open: map[string]chan json.RawMessage{}},
	}
	// What a modern message declares is read from the message, never from the session, so both eras can have the one.
	ctx := s.mcp.WithContext(context.Background(), t)
	t.ctx, t.cancel = context.WithCancel(withSink(withOrigin(ctx, origin{stdio: true}), t))
	return t
}

// notify implements sink.
func (t *stdio) notify(n mcpgo.JSONRPCNotification) { t.write(n) }

// later implements sink; the words of the refusal say it.
func (t *stdio) later(time.Duration) {}

// SessionID implements server.ClientSession.
func (t *stdio) SessionID() string { return stdioSession }

// Initialize implements server.ClientSession.
func (t *stdio) Initialize() { t.ready.Store(true) }

// Initialized implements server.ClientSession.
func (t *stdio) Initialized() bool { return t.ready.Load() }

// NotificationChannel implements server.ClientSession.
func (t *stdio) NotificationChannel() chan<- mcpgo.JSONRPCNotification { return t.notes }

// line is one line of the input, or why there is no more.
type line struct {
	raw  []byte
	long bool // longer than a message may be; raw is empty
	err  error
}

// readLines sends lines until the input ends. An input that nothing closes keeps
// it, and it alone, in its read.
func readLines(in io.Reader, to chan<- line, done <-chan struct{}) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		l := readLine(r)
		select {
		case to <- l:
		case <-done:
			return
		}
		if l.err != nil {
			return
		}
	}
}

func readLine(r *bufio.Reader) (l line) {
	for {
		part, err := r.ReadSlice('\n')
		if len(l.raw)+len(part) > maxBody {
			l.long, l.raw = true, nil
		}
		if !l.long {
			l.raw = append(l.raw, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.err = err
		return l
	}
}

func (t *stdio) serve(ctx context.Context, lines <-chan line) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-lines:
			t.take(ctx, l)
			if l.err != nil {
				return l.err
			}
		}
	}
}

// take starts what a line asks for.
func (t *stdio) take(ctx context.Context, l line) {
	if l.long {
		t.write(errorMessage(nil, mcpgo.INVALID_REQUEST, fmt.Sprintf("the message is larger than %d bytes", maxBody), nil))
		return
	}
	if len(bytes.TrimSpace(l.raw)) == 0 {
		return
	}
	m, err := parse(l.raw)
	if err == nil && m.ID != nil {
		err = t.s.refusal(m)
	}
	switch {
	case err != nil:
		t.write(errorMessage(m.ID, codeOf(err), err.Error(), dataOf(err)))
	case m.Method == "":
		t.responded(m, l.raw)
	case m.ID == nil:
		t.cancelled(m, l.raw)
		t.s.mcp.HandleMessage(t.ctx, l.raw)
	default:
		select {
		case t.held <- struct{}{}:
		case <-ctx.Done():
			return
		}
		t.begin(m)
		t.flying.Go(func() {
			defer func() { <-t.held }()
			t.request(m, l.raw)
		})
	}
}

// request answers one request.
func (t *stdio) request(m message, raw []byte) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	defer t.forget(m)
	switch mcpgo.MCPMethod(m.Method) {
	case mcpgo.MethodToolsCall:
		t.workers <- struct{}{}
		defer func() { <-t.workers }()
	case mcpgo.MethodSubscriptionsListen:
		// mcp-go ends a listen request, with its final result, when its context does.
		defer context.AfterFunc(t.s.stopping, cancel)()
	}
	if res := t.answer(ctx, m, raw); res != nil && !t.givenUp(m) {
		t.write(res)
	}
}

// answer asks mcp-go. A panic ends one request, not the process, and is in no answer (R45).
func (t *stdio) answer(ctx context.Context, m message, raw []byte) (res mcpgo.JSONRPCMessage) {
	defer func() {
		if p := recover(); p != nil {
			t.s.log.ErrorContext(ctx, "request panicked", "method", m.Method, "stack", string(debug.Stack()))
			res = errorMessage(m.ID, mcpgo.INTERNAL_ERROR, "internal error", nil)
		}
	}()
	return t.s.mcp.HandleMessage(ctx, raw)
}

func (t *stdio) begin(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[string(m.ID)] = false
}

func (t *stdio) forget(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, string(m.ID))
}

func (t *stdio) givenUp(m message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[string(m.ID)]
}

// cancelled notes a request that its client has given up: it gets no answer
// (cancellation, "SHOULD NOT send a response").
func (t *stdio) cancelled(m message, raw []byte) {
	if m.Method != string(mcpgo.MethodNotificationCancelled) {
		return
	}
	var n struct {
		Params struct {
			ID json.RawMessage `json:"requestId"`
		} `json:"params"`
	}
	if json.Unmarshal(raw, &n) != nil || n.Params.ID == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, flying := t.calls[string(n.Params.ID)]; flying {
		t.calls[string(n.Params.ID)] = true
	}
}

// forward writes mcp-go's own notifications until close.
func (t *stdio) forward() {
	defer close(t.noted)
	for {
		select {
		case n := <-t.notes:
			t.write(n)
		case <-t.closing:
			for {
				select {
				case n := <-t.notes:
					t.write(n)
				default:
					return
				}
			}
		}
	}
}

// drain lets requests in flight answer, for a while.
func (t *stdio) drain() {
	idle := make(chan struct{})
	go func() {
		t.flying.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return
	case <-time.After(stdioDrain):
	}
	t.cancel()
	select {
	case <-idle:
	case <-time.After(time.Second):
	}
}

func (t *stdio) close() {
	t.cancel()
	close(t.closing)
	<-t.noted
}

// write writes one message and a newline, at once.
func (t *stdio) write(m mcpgo.JSONRPCMessage) {
	raw, err := json.Marshal(m)
	if err != nil {
		t.s.log.Error("encoding message", "error", err)
		return
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	if _, err := t.out.Write(append(raw, '\n')); err != nil {
		t.s.log.Warn("writing message", "error", err)
	}
}
