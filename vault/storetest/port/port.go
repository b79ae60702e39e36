package port

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// From lowest on there are few services; from highest on Linux gives ports to whoever names none.
const lowest, highest = 10000, 32766

var errNone = errors.New("there are no two free loopback ports side by side")

// Held is a loopback port, together with the next: whoever holds a port for a
// sandbox needs both, for its vendors take the second.
type Held struct {
	Port string // decimal
	by   []net.PacketConn
}

// Hold finds two ports at which nobody listens and that no other test holds.
// They are held until Release, or until the process ends.
func Hold(ctx context.Context) (*Held, error) {
	for range 1000 {
		n := lowest + 2*rand.IntN((highest-lowest)/2)
		h := &Held{Port: strconv.Itoa(n)}
		if h.hold(ctx, n) && h.hold(ctx, n+1) {
			return h, nil
		}
		h.Release()
	}
	return nil, errNone
}

// hold takes n for this process, if nobody listens there.
func (h *Held) hold(ctx context.Context, n int) bool {
	var l net.ListenConfig
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(n))
	p, err := l.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return false
	}
	h.by = append(h.by, p)
	t, err := l.Listen(ctx, "tcp", addr)
	return err == nil && t.Close() == nil
}

// Addr is the first port with 127.0.0.1 before it.
func (h *Held) Addr() string { return net.JoinHostPort("127.0.0.1", h.Port) }

// Release lets others have the ports.
func (h *Held) Release() {
	for _, p := range h.by {
		_ = p.Close()
	}
}

// Get holds two ports, as Hold does, until the test ends.
func Get(t testing.TB) *Held {
	t.Helper()
	h, err := Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Release)
	return h
}
