package vault_test

import (
	"context"
	"testing"
	"time"
)

// inBackground starts the vault's background work, until the test or stop ends it.
func (b *bench) inBackground() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	b.t.Cleanup(stop)
	return stop
}

// happens waits up to five seconds.
func (b *bench) happens(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// An account in use is refreshed before its token ends, so that no call waits
// for it; what nobody used since its last refresh is left alone.
func TestBackgroundRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acc := b.connect(alice, agent)
	b.token(request(alice, agent))
	b.happens("the note of its use", func() bool { return b.row(acc.ID).Used > 0 })
	b.clock.add(52 * time.Minute) // of 60
	before := b.vendor.requests()
	stop := b.inBackground()
	b.happens("a refresh that nobody asked for", func() bool { return b.vendor.requests() == before+1 })
	b.happens("its result", func() bool { return b.token(request(alice, agent)).Generation == 2 })
	stop()
	if n := b.vendor.requests() - before; n != 1 {
		t.Fatalf("%d refreshes, want one", n)
	}
	b.clock.add(10 * time.Minute)
	b.token(request(alice, agent)) // in use, but then
	b.clock.add(8 * 24 * time.Hour)
	before = b.vendor.requests()
	stop = b.inBackground()
	time.Sleep(300 * time.Millisecond)
	stop()
	if n := b.vendor.requests() - before; n != 0 {
		t.Errorf("an account that was not used for eight days was refreshed %d times", n)
	}
}

// What was not used since its last refresh is not refreshed again.
func TestBackgroundRefreshOfUnused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.connect(alice, agent)
	b.clock.add(55 * time.Minute)
	before := b.vendor.requests()
	stop := b.inBackground()
	time.Sleep(300 * time.Millisecond)
	stop()
	if n := b.vendor.requests() - before; n != 0 {
		t.Errorf("an account that nobody uses was refreshed %d times", n)
	}
}
