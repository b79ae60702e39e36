package vault

import "sync"

// bell wakes those in this process who wait for a ticket. Other processes see the change in the store.
type bell struct {
	mu *sync.Mutex
	ch *chan struct{}
}

func newBell() bell {
	ch := make(chan struct{})
	return bell{mu: new(sync.Mutex), ch: &ch}
}

// wait answers a channel that closes at the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(*b.ch)
	*b.ch = make(chan struct{})
}
